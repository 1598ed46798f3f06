"""The sections that come with nrbench: differences to the baseline, what robustness costs, and the tail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from nrbench.base.statistics import Interval, mean
from nrbench.families.claim import Evidence
from nrbench.families.row import Row
from nrbench.families.section import Section
from nrbench.families.sheet import Entry, Figure, Head, Line, Sheet
from nrbench.report.drawing import MANY, drawn, plain, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_METHODS = 24
"""Of more methods those of the highest mean accuracy are shown: nobody could tell more of them apart. All are in the table
of every row."""
MOST_PANELS = 4


def networks(evidence: Evidence) -> Iterator[tuple[str, list[Row]]]:
    """Yield `backbone on data set` and the rows of it, noisy ones alone."""
    noisy = [row for row in evidence.rows if not getattr(evidence.noise.get(row.noise), "clean", False)]
    for backbone, dataset in dict.fromkeys((row.backbone, row.dataset) for row in noisy):
        yield f"{backbone} on {dataset}", [r for r in noisy if (r.backbone, r.dataset) == (backbone, dataset)]


def _highest(rows: Sequence[Row]) -> tuple[list[str], str]:
    """Return the methods of rows or, of more, those of the highest mean accuracy, and what to say of the others."""
    by_method: dict[str, list[float]] = {}
    for row in rows:
        by_method.setdefault(row.method, []).extend([] if row.accuracy is None else [row.accuracy])
    if len(by_method) <= MOST_METHODS:
        return list(by_method), ""
    if len(by_method) > MANY:
        return [], ""
    most = max(map(len, by_method.values()))
    means = {method: mean(accuracies) for method, accuracies in by_method.items() if len(accuracies) == most > 0}
    order = sorted(means, key=lambda method: -means[method])[:MOST_METHODS]
    return [method for method in by_method if method in order], f" Of {len(by_method)} methods the highest are shown."


class Differences(Section):
    """Forest plots: paired differences to the baseline with their 95 % intervals, a panel for each noise model."""

    name: Literal["differences"] = "differences"

    def parts(self, evidence: Evidence) -> Iterator[Figure]:
        for network, rows in networks(evidence):
            known = [row for row in rows if row.difference is not None and row.difference.interval is not None]
            methods, left_out = _highest(known)
            known = [row for row in known if row.method in methods]
            noises = list(dict.fromkeys(row.noise for row in known))
            if not known:
                continue
            baseline = known[0].difference.to if known[0].difference else ""
            for start in range(0, len(noises), MOST_PANELS):
                shown = noises[start : start + MOST_PANELS]
                panels = {noise: [row for row in known if row.noise == noise] for noise in shown}
                yield drawn(
                    f"Differences to {baseline}: {network}" + (", continued" if start else ""),
                    f"Percentage points above {baseline} on {network}, mean and 95 % interval, each for itself, of "
                    f"differences paired over seeds; where the interval holds 0 nothing is resolved.{left_out}",
                    partial(_forest, panels=panels, methods=methods),
                    panels=len(panels),
                    size=(2.2 + 2.0 * len(panels), 1.1 + 0.32 * len(methods)),
                )


def _forest(axes: Sequence[Axes], panels: Mapping[str, Sequence[Row]], methods: Sequence[str]) -> None:
    for axis, (noise, rows) in zip(axes, panels.items(), strict=True):
        axis.axvline(0, color="#888888", linewidth=1)
        known = {
            methods.index(row.method): row.difference for row in rows if row.difference and row.difference.interval
        }
        lows, highs = zip(*(each.interval for each in known.values() if each.interval), strict=True)
        axis.hlines(list(known), lows, highs, color="#1f4e9c", linewidth=1.2)
        for resolved, face in ((True, "#1f4e9c"), (False, "white")):
            shown = {
                y: each.mean for y, each in known.items() if each.interval and _resolved(each.interval) == resolved
            }
            axis.plot(list(shown.values()), list(shown), "o", markersize=5, color="#1f4e9c", markerfacecolor=face)
        axis.set_title(plain(noise), fontsize=9)
        axis.grid(alpha=0.3, axis="x")
    axes[0].set_yticks(range(len(methods)), [plain(method) for method in methods])
    axes[0].set_ylim(len(methods) - 0.5, -0.5)
    axes[len(axes) // 2].set_xlabel("percentage points (filled: resolved)")


def _resolved(interval: Interval) -> bool:
    return interval[0] > 0 or interval[1] < 0


class TradeOff(Section):
    """Mean accuracy under noise against accuracy without noise and against passes, with the Pareto fronts."""

    name: Literal["trade_off"] = "trade_off"

    def parts(self, evidence: Evidence) -> Iterator[Figure]:
        for network, rows in networks(evidence):
            methods, left_out = _highest(rows)
            points = dict(_points([row for row in rows if row.method in methods]))
            if len(points) > 1:
                yield drawn(
                    f"What robustness costs: {network}",
                    f"Mean accuracy under noise on {network}, against the accuracy of the same weights without noise and "
                    f"against passes per training step; the line joins what no other method beats in both.{left_out}",
                    partial(_scatter, points=points),
                    panels=2,
                    size=(9.6, 4.2),
                )


def _points(rows: Sequence[Row]) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Yield accuracy without noise, passes and accuracy under noise of each method that has all of them everywhere."""
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        if all(row.status == "ok" for row in own):
            yield (
                method,
                (
                    mean(row.clean_accuracy_there or 0.0 for row in own),
                    mean(row.passes_per_step or 0.0 for row in own),
                    mean(row.accuracy or 0.0 for row in own),
                ),
            )


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the Pareto front of (cost, gain) by cost: what has no other point at no more cost and no less gain."""
    best: list[tuple[float, float]] = []
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or gain > best[-1][1]:
            best.append((cost, gain))
    return best


def _scatter(axes: Sequence[Axes], points: Mapping[str, tuple[float, float, float]]) -> None:
    for number, (method, (clean, passes, noisy)) in enumerate(points.items()):
        how = style(number) | {"linestyle": "", "markersize": 7}
        axes[0].plot(clean, noisy, label=plain(method), **how)
        axes[1].plot(passes, noisy, **how)
    fronts = [
        [(-cost, gain) for cost, gain in front([(-clean, noisy) for clean, _, noisy in points.values()])],
        front([(passes, noisy) for _, passes, noisy in points.values()]),
    ]
    for axis, line in zip(axes, fronts, strict=True):
        axis.plot(*zip(*line, strict=True), color="#888888", linewidth=1, zorder=0)
        axis.grid(alpha=0.3)
    axes[0].set_xlabel("accuracy without noise, %")
    axes[1].set_xlabel("forward-backward passes per step")
    axes[0].set_ylabel("accuracy under noise, %")


class Tail(Section):
    """The chips that fare worst: the 5 % quantile over chips, the worst chip, and the yield."""

    name: Literal["tail"] = "tail"

    def parts(self, evidence: Evidence) -> Iterator[Sheet]:
        for network, rows in networks(evidence):
            methods, left_out = _highest(rows)
            if not methods:
                continue
            noises = dict.fromkeys(row.noise for row in rows)
            of = {(row.method, row.noise): row for row in rows}
            lines = [Line(method, tuple(_chips(of.get((method, noise))) for noise in noises)) for method in methods]
            yield Sheet(
                f"Tail and yield: {network}",
                "method",
                tuple(map(Head, noises)),
                tuple(lines),
                (
                    "Accuracy that 95 % of the chips reach; below it the worst chip, and the yield: the share of chips "
                    "within one point of the same weights without noise. A chip is one noisy copy of one trained network."
                    + left_out,
                ),
            )


def _chips(row: Row | None) -> Entry:
    if row is None or row.quantile_5 is None or row.minimum is None or row.yield_1 is None:
        return Entry("" if row is None else row.status, styles=() if row is None else ("failed",))
    return Entry(f"{row.quantile_5:.2f}", (f"worst {row.minimum:.2f}", f"yield {100 * row.yield_1:.0f} %"))


SECTIONS = (Differences(), TradeOff(), Tail())
"""What a report shows where the suite does not say which."""
