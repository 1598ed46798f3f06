"""Figures: accuracy against the strength of the noise, one for each sheet whose columns are strengths; needs matplotlib."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from nrbench.base.component import Component, canonical, parameter
from nrbench.families.noise import NoiseModel
from nrbench.report.sheet import Sheet

MOST_LINES = 14
"""Sheets with more lines are not drawn: nobody could tell them apart."""
MARKERS = "osD^vP*Xdhp<>8"

Point = tuple[float, float, float]
"""Strength of the noise, accuracy and weight uncertainty."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The columns of a sheet that differ in one parameter of their noise model, and the column without noise."""

    noise: str
    parameter: str
    lines: Mapping[str, Sequence[Point]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture of a sheet."""

    title: str
    svg: bytes


def figures(sheets: Sequence[Sheet], noise: Mapping[str, NoiseModel]) -> Iterator[Figure]:
    """Yield a figure for each sheet that has strengths of noise as its columns; none where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        return
    for sheet in sheets:
        if panels := list(_panels(sheet, noise)):
            yield Figure(sheet.title, _svg(panels, sheet.title))


def _panels(sheet: Sheet, noise: Mapping[str, NoiseModel]) -> Iterator[Panel]:
    if len(sheet.lines) > MOST_LINES:
        return
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


def _svg(panels: Sequence[Panel], title: str) -> bytes:
    """Return the same bytes for the same panels: no date, and ids that do not depend on chance."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "nrbench", "svg.fonttype": "none", "font.family": "sans-serif"}):
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas(figsize=(4.6 * len(panels) + 2.6, 4.2), layout="constrained")
        axes = canvas.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axis, panel in zip(axes, panels, strict=True):
            for number, (label, points) in enumerate(panel.lines.items()):
                x, y, spread = zip(*points, strict=True) if points else ((), (), ())
                axis.errorbar(
                    x, y, spread, label=_plain(label), marker=MARKERS[number % len(MARKERS)], markersize=4,
                    linewidth=1.2, capsize=2, color=matplotlib.colormaps["tab20"](number % 20),
                )  # fmt: skip
            axis.set_xlabel(_plain(f"{panel.noise}: {panel.parameter}"))
            axis.grid(alpha=0.3)
        axes[0].set_ylabel("accuracy, %")
        canvas.suptitle(_plain(title), fontsize=11)
        canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=9)
        stream = io.BytesIO()
        canvas.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _plain(text: str) -> str:
    """Return a text in which matplotlib sees no formula, and takes no legend entry for one to hide."""
    plain = text.replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain
