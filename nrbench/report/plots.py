"""The forms of figures that a suite can ask for: curves, trajectories, scatters, the best of groups, and bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nrbench.base.component import parameter
from nrbench.base.statistics import mean, std, t_interval
from nrbench.families.claim import Evidence
from nrbench.families.row import Patterns, Row, best, matches
from nrbench.families.section import Asked
from nrbench.families.sheet import Figure
from nrbench.report.drawing import plain, style
from nrbench.report.quantity import Plot, Quantity, networks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Sequence[tuple[float, float, float]]
"""x, y and half the height of the band or bar."""


class Curve(Plot):
    """A quantity after each epoch, mean over seeds with a band of ± their standard deviation."""

    name: Literal["curve"] = "curve"

    y: Quantity
    beside: Quantity | None = None
    """Another quantity in the same unit, drawn thinly in the same colour."""
    log: bool = False
    """Whether the axis is logarithmic."""
    until: float | None = Field(default=None, ge=0, le=1)
    """A share of the training at which a dotted line stands, such as the end of a ramp."""

    def parts(self, evidence: Evidence) -> Iterator[Figure]:
        measured, shown = self.y.measured(evidence), self.shown(evidence)
        for network in networks_of(measured):
            lines = _lines(self.y, evidence, network, shown)
            if not lines:
                continue
            others = {} if self.beside is None else _lines(self.beside, evidence, network, shown)
            second = {f"{method}, {self.beside.text}": line for method, line in others.items()} if self.beside else {}
            backbone, dataset = network
            last = max(x for points in lines.values() for x, _, _ in points)
            yield self.figure(
                f"{self.y.text}: {backbone} on {dataset}",
                partial(_curves, lines=lines, beside=others, label=self.y.text, log=self.log, at=self._at(last)),
                [("method", "epoch", "mean", "std"), *_rows(lines), *_rows(second)],
                [method for method in shown if method not in lines],
            )

    def _at(self, last: float) -> float | None:
        return None if self.until is None else self.until * last


def _lines(
    quantity: Quantity, evidence: Evidence, network: tuple[str, str], methods: Sequence[str]
) -> dict[str, Points]:
    """Return mean and spread of a quantity by epoch, of those methods that have it."""
    measured = [each for each in quantity.measured(evidence) if (each.backbone, each.dataset) == network]
    here = {each.method: quantity.values(each) for each in measured}
    return {method: _band(here[method]) for method in methods if method in here}


def _band(values: Mapping[int, Sequence[float]]) -> Points:
    return [(float(epoch), mean(seeds), std(seeds) or 0.0) for epoch, seeds in values.items()]


def _rows(lines: Mapping[str, Points]) -> Iterator[tuple[Any, ...]]:
    for label, points in lines.items():
        yield from ((label, *point) for point in points)


def _curves(
    axes: Sequence[Axes],
    lines: Mapping[str, Points],
    beside: Mapping[str, Points],
    label: str,
    log: bool,
    at: float | None,
) -> None:
    (axis,) = axes
    for number, (method, points) in enumerate(lines.items()):
        x, y, spread = zip(*points, strict=True)
        how = style(number)
        axis.plot(x, y, label=plain(method), markersize=3, linewidth=1.2, markevery=max(1, len(x) // 8), **how)
        low, high = ([a + sign * b for a, b in zip(y, spread, strict=True)] for sign in (-1, 1))
        if any(spread):
            axis.fill_between(x, low, high, color=how["color"], alpha=0.15, linewidth=0)
        if method in beside:
            x, y, _ = zip(*beside[method], strict=True)
            axis.plot(x, y, color=how["color"], linewidth=0.8)
    if at is not None:
        axis.axvline(at, color="#888888", linestyle=":", linewidth=1)
    if log:
        axis.set_yscale("log")
    axis.set_xlabel("epoch")
    axis.set_ylabel(plain(label))
    axis.grid(alpha=0.3)


class Trajectory(Plot):
    """One quantity against another as the training goes on, means over seeds, with an arrow in its direction."""

    name: Literal["trajectory"] = "trajectory"

    x: Quantity
    y: Quantity
    diagonal: bool = False
    """Whether a line shows where both are equal."""

    def parts(self, evidence: Evidence) -> Iterator[Figure]:
        across, up, shown = self.x.measured(evidence), self.y.measured(evidence), self.shown(evidence)
        for backbone, dataset in networks_of(across):
            at = {s.method: self.x.values(s) for s in across if (s.backbone, s.dataset) == (backbone, dataset)}
            of = {s.method: self.y.values(s) for s in up if (s.backbone, s.dataset) == (backbone, dataset)}
            paths = {
                method: [(mean(at[method][e]), mean(of[method][e]), float(e)) for e in at[method] if e in of[method]]
                for method in shown
                if method in at and method in of
            }
            paths = {method: path for method, path in paths.items() if path}
            if paths:
                yield self.figure(
                    f"{self.y.text} against {self.x.text}: {backbone} on {dataset}",
                    partial(_paths, paths=paths, labels=(self.x.text, self.y.text), diagonal=self.diagonal),
                    [("method", "x", "y", "epoch"), *_rows(paths)],
                    [method for method in shown if method not in paths],
                )


def _paths(axes: Sequence[Axes], paths: Mapping[str, Points], labels: tuple[str, str], diagonal: bool) -> None:
    (axis,) = axes
    for number, (method, path) in enumerate(paths.items()):
        x, y, _ = zip(*path, strict=True)
        how = style(number)
        axis.plot(x, y, label=plain(method), markersize=3, linewidth=1, **how)
        for at in sorted({len(x) // 3, 2 * len(x) // 3, len(x) - 1} - {0}):
            arrow = {"arrowstyle": "-|>", "color": how["color"], "linewidth": 1}
            axis.annotate("", xy=(x[at], y[at]), xytext=(x[at - 1], y[at - 1]), arrowprops=arrow)
    if diagonal:
        low, high = max(axis.get_xlim()[0], axis.get_ylim()[0]), min(axis.get_xlim()[1], axis.get_ylim()[1])
        axis.plot([low, high], [low, high], color="#888888", linestyle=":", linewidth=1)
    axis.set_xlabel(plain(labels[0]))
    axis.set_ylabel(plain(labels[1]))
    axis.grid(alpha=0.3)


class Scatter(Plot):
    """Accuracy under one noise model against that under another, a point for each method, with its spread over seeds."""

    name: Literal["scatter"] = "scatter"

    x: str
    """The label of a noise model, such as that without noise."""
    y: str
    """The label of the other one."""
    groups: tuple[Patterns, ...] = ()
    """Methods whose points are joined, in the suite's order."""

    def asked(self) -> Iterator[Asked]:
        yield from super().asked()
        yield from (Asked("noise", getattr(self, field), field) for field in ("x", "y"))

    def parts(self, evidence: Evidence) -> Iterator[Figure]:
        shown = self.shown(evidence)
        rows = {(r.backbone, r.dataset, r.noise, r.method): r for r in evidence.rows if r.status == "ok"}
        for backbone, dataset in dict.fromkeys((row.backbone, row.dataset) for row in evidence.rows):
            both = {m: [rows.get((backbone, dataset, noise, m)) for noise in (self.x, self.y)] for m in shown}
            points = {m: (_value(a), _value(b)) for m, (a, b) in both.items() if a is not None and b is not None}
            if points:
                joined = [[m for m in points if matches(group, m)] for group in self.groups]
                yield self.figure(
                    f"{self.y} against {self.x}: {backbone} on {dataset}",
                    partial(_cloud, points=points, joined=joined, labels=(self.x, self.y)),
                    [("method", "x", "x_std", "y", "y_std"), *((m, *a, *b) for m, (a, b) in points.items())],
                    [method for method in shown if method not in points],
                )


def _value(row: Row) -> tuple[float, float]:
    return row.accuracy or 0.0, row.weight_std or 0.0


def _cloud(
    axes: Sequence[Axes],
    points: Mapping[str, tuple[tuple[float, float], tuple[float, float]]],
    joined: Sequence[Sequence[str]],
    labels: tuple[str, str],
) -> None:
    (axis,) = axes
    for line in joined:
        axis.plot(
            [points[m][0][0] for m in line], [points[m][1][0] for m in line], color="#bbbbbb", linewidth=1, zorder=0
        )
    for number, (method, ((x, dx), (y, dy))) in enumerate(points.items()):
        how = style(number) | {"linestyle": ""}
        axis.errorbar(x, y, xerr=dx, yerr=dy, label=plain(method), markersize=6, elinewidth=0.8, **how)
    axis.set_xlabel(plain(f"accuracy, {labels[0]}, %"))
    axis.set_ylabel(plain(f"accuracy, {labels[1]}, %"))
    axis.grid(alpha=0.3)


class BestOfGroups(Plot):
    """The best of each group of methods against the strength of the noise, chosen for each strength as in tables."""

    name: Literal["best_of_groups"] = "best_of_groups"

    groups: dict[str, Patterns]
    """Methods by the name of their group."""
    noise: Patterns = ("*",)
    """Labels of noise models of one kind that differ in one parameter, and of the one without noise."""
    along: str = "sigma"
    """The parameter."""

    def asked(self) -> Iterator[Asked]:
        yield from super().asked()
        yield from (Asked("noise", pattern, "noise") for pattern in self.noise)
        yield from (Asked("methods", p, f"groups.{group}") for group, patterns in self.groups.items() for p in patterns)

    def parts(self, evidence: Evidence) -> Iterator[Figure]:
        strengths = {
            label: 0.0 if getattr(model, "clean", False) else float(parameter(model, self.along))
            for label, model in evidence.noise.items()
            if matches(self.noise, label) and (getattr(model, "clean", False) or hasattr(model, self.along))
        }
        for backbone, dataset in dict.fromkeys((row.backbone, row.dataset) for row in evidence.rows):
            own = [r for r in evidence.rows if (r.backbone, r.dataset) == (backbone, dataset) and r.noise in strengths]
            found = {
                group: [
                    (strengths[noise], chosen)
                    for noise in strengths
                    if (chosen := best([r for r in own if r.noise == noise and matches(patterns, r.method)]))
                    is not None
                ]
                for group, patterns in self.groups.items()
            }
            lines = {group: sorted((x, *_value(row)) for x, row in chosen) for group, chosen in found.items() if chosen}
            if lines:
                data = [(group, x, row.method, *_value(row)) for group, chosen in found.items() for x, row in chosen]
                yield self.figure(
                    f"The best of each group: {backbone} on {dataset}",
                    partial(_strengths, lines=lines, along=self.along),
                    [("group", self.along, "method", "accuracy", "std"), *data],
                    [group for group in found if group not in lines],
                )


def _strengths(axes: Sequence[Axes], lines: Mapping[str, Points], along: str) -> None:
    _curves(axes, lines, {}, "accuracy, %", log=False, at=None)
    axes[0].set_xlabel(plain(f"strength of the noise, {along}"))


class Bars(Plot):
    """A quantity after its last epoch, a bar for each method with the 95 % interval of its mean over seeds."""

    name: Literal["bars"] = "bars"

    y: Quantity

    def parts(self, evidence: Evidence) -> Iterator[Figure]:
        measured, shown = self.y.measured(evidence), self.shown(evidence)
        for backbone, dataset in networks_of(measured):
            here = {s.method: self.y.values(s) for s in measured if (s.backbone, s.dataset) == (backbone, dataset)}
            last = {method: here[method][max(here[method])] for method in shown if here.get(method)}
            heights = {method: (mean(seeds), t_interval(seeds, level=evidence.level)) for method, seeds in last.items()}
            if heights:
                yield self.figure(
                    f"{self.y.text} at the end: {backbone} on {dataset}",
                    partial(_bars, heights=heights, label=self.y.text),
                    [
                        ("method", "mean", "low", "high"),
                        *((m, h, *(i or (None, None))) for m, (h, i) in heights.items()),
                    ],
                    [method for method in shown if method not in heights],
                    size=(7.2, 1.2 + 0.32 * len(heights)),
                )


def _bars(axes: Sequence[Axes], heights: Mapping[str, tuple[float, tuple[float, float] | None]], label: str) -> None:
    (axis,) = axes
    for number, (height, interval) in enumerate(heights.values()):
        axis.barh(number, height, color="#8fb0d9", edgecolor="#1f4e9c")
        if interval is not None:
            axis.plot(interval, [number, number], color="#222222", linewidth=1.2)
    axis.set_yticks(range(len(heights)), [plain(method) for method in heights])
    axis.invert_yaxis()
    axis.set_xlabel(plain(label))
    axis.grid(alpha=0.3, axis="x")
