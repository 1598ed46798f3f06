"""Claims about what probes measured during training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from nrbench import Frozen, Patterns, RowFilter, Series, matches, paired
from nrbench_claims.comparison import Comparison, ComparisonClaim
from nrbench_claims.rows import NoRowError, RowSet

LEVELS = 20
"""Values of a quantity at which two methods are compared, at equal distances over what both go through."""


Over = Literal["mean", "sum", "last", "highest", "when_highest"]


class Measured(Frozen):
    """A number that was measured, over a part of the training; a text alone is a method's label."""

    method: str = ""
    """The method's label; by default each of the claim's `methods` in turn."""
    probe: str | None = None
    """The label of the probe, the claim's own by default; that of no name has the training loss."""
    number: str | None = None
    """Which of its numbers, the claim's own by default."""
    since: float | None = Field(default=None, ge=0, le=1)
    """From which share of the training on, the claim's own by default."""
    until: float | None = Field(default=None, ge=0, le=1)
    """Up to which share."""
    times: float = Field(default=1.0, gt=0)
    """A factor that the number is multiplied by."""
    over: Over | None = None
    """What of the epochs, the claim's own by default."""
    value: float | None = None
    """A fixed number, in the place of a measured one."""

    @model_validator(mode="before")
    @classmethod
    def _from_label(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value


class ProbeOrder(ComparisonClaim):
    """A number that a probe measures is larger for each in a row than for the next; the effect is in the number's own unit.

    What stands in the row may be methods, or parts of the training, other numbers or multiples of one method's.
    """

    name: Literal["probe_order"] = "probe_order"

    probe: str = ""
    """The label of the probe; that of no name has the training loss."""
    number: str = "loss"
    """Which of its numbers."""
    order: tuple[Measured, ...] = Field(min_length=2)
    """From the largest to the smallest; each step is a cell. A label stands for the method of that label."""
    methods: Patterns = ()
    """Labels of methods, or patterns, each of which stands in for the method where the row does not say one."""
    over: Over = "mean"
    """What of the epochs that were measured: their mean, their sum, such as a distance travelled, the last one, the highest
    value, or the epoch that has it."""
    since: float = Field(default=0.0, ge=0, le=1)
    """From which share of the training on: at 0.5 the second half of the epochs."""
    until: float = Field(default=1.0, ge=0, le=1)
    """Up to which share."""
    at_equal: Measured | None = None
    """A number at equal values of which two methods are compared, over what both go through, such as the training loss."""
    at_every: bool = False
    """Whether each epoch, or each of the equal values, is a cell of its own, as a sentence about all of them asks for."""
    under: RowFilter = RowFilter()
    """The backbones and data sets; each pair of them is a cell of its own."""

    @model_validator(mode="after")
    def _has_methods(self) -> Self:
        if not self.methods and not all(each.method or each.value is not None for each in self.order):
            raise ValueError("no method is said in its order; say one, or the `methods` that are meant in turn")
        return self

    def probed(self) -> Iterator[tuple[str, str, str]]:
        for place, side in enumerate(self.order):
            probe, number, _ = self._key(side)
            if probe and side.value is None:
                said = f"order.{place}" if side.probe is not None or side.number is not None else "number"
                yield probe, number, said
        if self.at_equal is not None and self.at_equal.probe:
            yield self.at_equal.probe, self.at_equal.number or self.number, "at_equal"

    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        for found, where in networks(evidence, self.under):
            own = dict.fromkeys(method for _, _, method in found if matches(self.methods, method))
            for method in own if self.methods else ("",):
                for larger, smaller in pairwise(self.order):
                    yield from self._cells_of(found, larger, smaller, method, where, evidence.confidence)

    def _cells_of(
        self, found: Found, larger: Measured, smaller: Measured, method: str, where: str, level: float
    ) -> Iterator[Comparison]:
        sides = [each.replace(method=each.method or method) for each in (larger, smaller)]
        cell = f"{self._called(sides[0])} over {self._called(sides[1])} {where}"
        needed = [self._key(side) for side in sides if side.value is None]
        if self.at_equal is not None:
            needed += [self._key(self.at_equal, of=side.method) for side in sides]
        for probe, number, whose in needed:
            if (probe, number, whose) not in found:
                missing = f"{probe or 'the training'} has measured no {number} of {whose or 'anything'}"
                yield Comparison(cell, missing=missing)
                return
        if self.at_equal is not None:
            gaps, what = self._gaps_at_equal([found[key] for key in needed], sides), f"equal {self.at_equal.number}"
        else:
            gaps, what = self._gaps(found, sides), "epoch"
        if not gaps:
            yield Comparison(cell, missing=f"the two have no {what} in common in that part of the training")
        for at, values in gaps.items():
            beyond = [value - self.at_least for value in values]
            yield Comparison(f"{cell}, {what} {at:g}" if self.at_every else cell, estimate=paired(beyond, level=level))

    def _gaps(self, found: Found, sides: list[Measured]) -> dict[float, list[float]]:
        """Return the differences of the two sides by seed, at each epoch or, under 0, of what is taken of all epochs."""
        series = [found[self._key(side)] if side.value is None else None for side in sides]
        if not self.at_every:
            values = [self._of(each, side) for each, side in zip(series, sides, strict=True)]
            seeds = max(map(len, values))
            first, second = (
                [value[0]] * seeds if s.value is not None else value for value, s in zip(values, sides, strict=True)
            )
            return {0.0: [a - b for a, b in zip(first, second, strict=False)]} if first and second else {}
        inside = [self._inside(each, side) for each, side in zip(series, sides, strict=True) if each is not None]
        epochs = sorted(set.intersection(*map(set, inside)))
        at = {epoch: [_at(each, side, epoch) for each, side in zip(series, sides, strict=True)] for epoch in epochs}
        seeds = max(len(each.by_seed) for each in series if each is not None)
        return {float(epoch): [a(seed) - b(seed) for seed in range(seeds)] for epoch, (a, b) in at.items()}

    def _gaps_at_equal(self, series: list[Series], sides: list[Measured]) -> dict[float, list[float]]:
        """Return the differences at equal values by seed: at each level from the lowest to the highest, or on average."""
        seeds = range(min(len(each.by_seed) for each in series))
        found = [_gaps_at_equal(series, seed, sides[0].times, sides[1].times) for seed in seeds]
        if any(each is None for each in found):
            found = [each for each in found if each is not None] if not self.at_every else []
        if not found:
            return {}
        gaps = np.array(found)
        if self.at_every:
            return {float(level): list(gaps[:, level]) for level in range(LEVELS)}
        return {0.0: [float(mean) for mean in gaps.mean(1)]}

    def _key(self, side: Measured, *, of: str = "") -> Key:
        return (
            self.probe if side.probe is None else side.probe,
            self.number if side.number is None else side.number,
            side.method or of,
        )

    def _called(self, side: Measured) -> str:
        if side.value is not None:
            return f"{side.value:g}"
        probe, number, method = self._key(side)
        share = (side.since, side.until)
        part = "" if share == (None, None) else f" in {side.since or self.since:g} to {side.until or self.until:g}"
        factor = "" if side.times == 1 else f"{side.times:g} × "
        return f"{factor}{probe}: {number} of {method}{part}" if probe else f"{factor}{number} of {method}{part}"

    def _inside(self, series: Series, side: Measured) -> list[int]:
        since = self.since if side.since is None else side.since
        until = self.until if side.until is None else side.until
        return part_of(series, since, until)

    def _of(self, series: Series | None, side: Measured) -> list[float]:
        """Return the one number of each seed; nothing where no epoch is in the part that is asked for."""
        if series is None:
            return [] if side.value is None else [side.value * side.times]
        values = taken(series, self._inside(series, side), side.over or self.over)
        return [side.times * value for value in values]


Key = tuple[str, str, str]
"""A probe, one of its numbers, and a method."""
Found = Mapping[Key, Series]


def networks(evidence: RowSet, under: RowFilter) -> Iterator[tuple[Found, str]]:
    """Yield what was measured on each backbone and data set that a filter covers, and the two in words."""
    if not evidence.series:
        raise NoRowError("no probe has measured anything")
    asked = dict.fromkeys((each.backbone, each.dataset) for each in evidence.series)
    for backbone, dataset in asked:
        said = ((under.backbone, backbone), (under.dataset, dataset))
        if all(not patterns or matches(patterns, label) for patterns, label in said):
            here = (each for each in evidence.series if (each.backbone, each.dataset) == (backbone, dataset))
            yield {(each.probe, each.number, each.method): each for each in here}, f"({backbone}, {dataset})"


def part_of(series: Series, since: float, until: float) -> list[int]:
    """Return the measured epochs in a part of the training."""
    last = series.total or series.epochs[-1]
    return [epoch for epoch in series.epochs if since * last <= epoch <= until * last]


def taken(series: Series, epochs: Sequence[int], over: Over) -> list[float]:
    """Return one number of each seed over some epochs; nothing where there are none."""
    found = []
    for seed in series.by_seed if epochs else ():
        known = dict(zip(series.epochs, seed, strict=True))
        values = [known[epoch] for epoch in epochs]
        highest = max(values)
        match over:
            case "mean":
                found.append(sum(values) / len(values))
            case "sum":
                found.append(sum(values))
            case "last":
                found.append(values[-1])
            case "highest":
                found.append(highest)
            case "when_highest":
                found.append(float(epochs[values.index(highest)]))
    return found


def _at(series: Series | None, side: Measured, epoch: int) -> Callable[[int], float]:
    if series is None:
        return lambda seed: side.times * (side.value or 0.0)
    place = series.epochs.index(epoch)
    return lambda seed: side.times * series.by_seed[seed][place]


def _gaps_at_equal(series: list[Series], seed: int, *times: float) -> Any:
    """Return the differences of the first two series at equal values of the last two; None where those share none."""
    sides = []
    for number in (0, 1):
        across = dict(zip(series[number + 2].epochs, series[number + 2].by_seed[seed], strict=True))
        up = dict(zip(series[number].epochs, series[number].by_seed[seed], strict=True))
        sides.append(sorted((across[epoch], times[number] * up[epoch]) for epoch in up if epoch in across))
    if not (sides[0] and sides[1]):
        return None
    low, high = max(side[0][0] for side in sides), min(side[-1][0] for side in sides)
    if low >= high:
        return None
    levels = np.linspace(low, high, LEVELS)
    first, second = (np.interp(levels, [x for x, _ in side], [y for _, y in side]) for side in sides)
    return first - second
