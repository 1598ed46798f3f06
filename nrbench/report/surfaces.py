"""Surfaces: the loss around the weights, as contours or a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from textwrap import fill
from typing import TYPE_CHECKING, Literal

from nrbench.families.claim import Evidence
from nrbench.families.probe import GridProbe
from nrbench.families.section import Asked
from nrbench.families.sheet import Figure
from nrbench.report.drawing import plain
from nrbench.report.quantity import Plot, networks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 3
LEVELS = 12
"""Contours of a surface, at equal distances."""


class Surface(Plot):
    """The loss around the weights of the first seed, a panel a method: contours on one scale, or a line in one dimension.

    The numbers are a grid probe's, at the last epoch that it has them for. A dotted circle has its radius, if it has one.
    """

    name: Literal["surface"] = "surface"

    probe: str
    """The label of a probe of numbers on a grid."""
    most: float | None = None
    """Losses above it are not told apart; by default three times the median of what is drawn."""

    def asked(self) -> Iterator[Asked]:
        yield from super().asked()
        yield Asked("probes", self.probe, "probe")

    def parts(self, evidence: Evidence) -> Iterator[Figure]:
        probe = evidence.probes.get(self.probe)
        if not isinstance(probe, GridProbe):
            return
        axes, shown = probe.axes(), self.shown(evidence)
        series = [each for each in evidence.series if each.probe == self.probe and each.method in shown]
        for backbone, dataset in networks_of(series):
            here = [each for each in series if (each.backbone, each.dataset) == (backbone, dataset)]
            numbers = {m: {s.number: s.by_seed[0][-1] for s in here if s.method == m} for m in shown}
            grids = {m: _grid(own, axes) for m, own in numbers.items()}
            whole = {m: grid for m, grid in grids.items() if grid is not None}
            if whole:
                places = [(m, n, numbers[m][n]) for m in whole for n in sorted(numbers[m])]
                columns = min(len(whole), MOST_PANELS)
                for start in range(0, len(whole), columns):
                    panels = {m: whole[m] for m in list(whole)[start : start + columns]}
                    radii = {m: numbers[m]["radius"] for m in panels if "radius" in numbers[m]}
                    top = self.most or 3 * median(value for grid in whole.values() for line in grid for value in line)
                    low = min(value for grid in whole.values() for line in grid for value in line)
                    yield self.figure(
                        f"The loss around the weights: {backbone} on {dataset}" + (", continued" if start else ""),
                        partial(_surfaces, panels=panels, axes=axes, radii=radii, low=low, top=top),
                        [("method", "place", "loss"), *places],
                        [method for method in shown if method not in whole],
                        panels=len(panels),
                        size=(2.6 * len(panels) + 1.2, 3.1),
                    )


def _grid(numbers: Mapping[str, float], axes: Sequence[Sequence[float]]) -> list[list[float]] | None:
    """Return the numbers of a grid line by line, one line in one dimension; None where one is missing."""
    across, *up = map(len, axes)
    names = [[f"{x},{y}" for x in range(across)] for y in range(up[0])] if up else [[f"{x}" for x in range(across)]]
    found = [[numbers[name] for name in line if name in numbers] for line in names]
    return found if all(len(line) == across for line in found) else None


def _surfaces(
    axes_: Sequence[Axes],
    panels: Mapping[str, Sequence[Sequence[float]]],
    axes: Sequence[Sequence[float]],
    radii: Mapping[str, float],
    low: float,
    top: float,
) -> None:
    import numpy as np

    for axis, (method, grid) in zip(axes_, panels.items(), strict=True):
        axis.set_title(fill(plain(method), 28), fontsize=9)
        axis.grid(alpha=0.3)
        if len(axes) == 1:
            axis.plot(axes[0], grid[0], color="#1f4e9c", linewidth=1.2)
            continue
        levels = np.linspace(low, top, LEVELS + 1)[1:]
        drawn_ = axis.contour(
            axes[0], axes[1], np.minimum(grid, 2 * top), levels=levels, cmap="viridis", linewidths=0.9
        )
        axis.clabel(drawn_, levels[::3], fontsize=6)
        if method in radii:
            turns = np.linspace(0, 2 * np.pi, 60)
            axis.plot(radii[method] * np.cos(turns), radii[method] * np.sin(turns), "k:", linewidth=1)
        axis.set_aspect("equal")
    axes_[0].set_ylabel("along d₂, in ‖w‖" if len(axes) > 1 else "loss")
    axes_[len(axes_) // 2].set_xlabel("along d₁, in ‖w‖")
