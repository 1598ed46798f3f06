"""Accuracy against the strength of the noise: a figure for each sheet whose columns are strengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from nrbench.base.component import Component, canonical, parameter
from nrbench.base.statistics import mean
from nrbench.families.noise import NoiseModel
from nrbench.families.sheet import Figure, Line, Sheet
from nrbench.report.drawing import MANY, drawn, plain, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 14
"""Of a sheet with more lines those of the highest mean accuracy are drawn: nobody could tell more of them apart."""

Point = tuple[float, float, float]
"""Strength of the noise, accuracy and weight uncertainty."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The columns of a sheet that differ in one parameter of their noise model, and the column without noise."""

    noise: str
    parameter: str
    lines: Mapping[str, Sequence[Point]]


def figures(sheets: Sequence[Sheet], noise: Mapping[str, NoiseModel], baseline: str = "") -> Iterator[Figure]:
    """Yield a figure for each sheet that has strengths of noise as its columns."""
    for sheet in sheets:
        lines = _few(sheet, baseline)
        left_out = (
            f" Of {len(sheet.lines)} lines the highest are drawn, best first." if len(lines) < len(sheet.lines) else ""
        )
        if panels := list(_panels(replace(sheet, lines=lines), noise)):
            yield drawn(
                f"Strength: {sheet.title}",
                f"Accuracy against the strength of the noise, {sheet.title}; the bands are ± the standard deviation over "
                f"training seeds, the point at 0 is without noise.{left_out}",
                partial(_draw, panels=panels),
                panels=len(panels),
                size=(4.6 * len(panels) + 2.6, 4.2),
            )


def _few(sheet: Sheet, baseline: str) -> tuple[Line, ...]:
    """Return the lines of a sheet or, of too many, those of the baseline and of the highest means, best first."""
    columns = [index for index, head in enumerate(sheet.heads) if head.noise]
    if len(sheet.lines) <= MOST_LINES or not columns:
        return sheet.lines
    if len(sheet.lines) > MANY:
        return ()
    means: dict[int, float] = {}
    for number, line in enumerate(sheet.lines):
        accuracies = [entry.accuracy for index in columns if (entry := line.entries[index]).accuracy is not None]
        if len(accuracies) == len(columns):
            means[number] = mean(accuracies)
    order = sorted(means, key=lambda number: (sheet.lines[number].label != baseline, -means[number]))
    return tuple(sheet.lines[number] for number in order[:MOST_LINES])  # the first ten have the strong colours


def _panels(sheet: Sheet, noise: Mapping[str, NoiseModel]) -> Iterator[Panel]:
    known = {index: noise[head.noise] for index, head in enumerate(sheet.heads) if head.noise and head.noise in noise}
    clean = [index for index, model in known.items() if model.clean]
    for kind in dict.fromkeys(model.name for model in known.values() if not model.clean):
        family = {index: model for index, model in known.items() if model.name == kind}
        varying = _varying(list(family.values()))
        if varying is None:
            continue
        strengths = [(0.0, index) for index in clean if index not in family]
        strengths += [(float(parameter(model, varying)), index) for index, model in family.items()]
        lines = {
            f"{line.group}, {line.label}" if line.group else line.label: [
                (x, entry.accuracy, entry.spread or 0.0)
                for x, index in sorted(strengths)
                if (entry := line.entries[index]).accuracy is not None
            ]
            for line in sheet.lines
        }
        if any(lines.values()):
            yield Panel(kind, varying, lines)


def _varying(models: Sequence[Component]) -> str | None:
    """Return the one field in which noise models of a kind differ, if it is a number."""
    fields = [name for name in type(models[0]).model_fields if name != "name"]
    differ = [name for name in fields if len({repr(canonical(getattr(model, name))) for model in models}) > 1]
    one = differ[0] if len(differ) == 1 else None
    return one if one is not None and isinstance(getattr(models[0], one), int | float) else None


def _draw(axes: Sequence[Axes], panels: Sequence[Panel]) -> None:
    for axis, panel in zip(axes, panels, strict=True):
        for number, (label, points) in enumerate(panel.lines.items()):
            x, y, spread = (list(each) for each in zip(*points, strict=True)) if points else ([], [], [])
            how = style(number)
            axis.plot(x, y, label=plain(label), markersize=4, linewidth=1.3, **how)
            low, high = ([a + sign * b for a, b in zip(y, spread, strict=True)] for sign in (-1, 1))
            axis.fill_between(x, low, high, color=how["color"], alpha=0.15, linewidth=0)
        axis.set_xlabel(plain(f"{panel.noise}: {panel.parameter}"))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy, %")
