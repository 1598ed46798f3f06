"""Claims about what probes measured during training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from nrbench import Frozen, Patterns, RowFilter, Series, matches, paired
from nrbench_claims.comparison import Comparison, ComparisonClaim
from nrbench_claims.rows import NoRowError, RowSet

LEVELS = 20
"""Values of a quantity at which two methods are compared, at equal distances over what both go through."""


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
    over: Literal["mean", "sum", "last", "highest", "when_highest"] = "mean"
    """What of the epochs that were measured: their mean, their sum, such as a distance travelled, the last one, the highest
    value, or the epoch that has it."""
    since: float = Field(default=0.0, ge=0, le=1)
    """From which share of the training on: at 0.5 the second half of the epochs."""
    until: float = Field(default=1.0, ge=0, le=1)
    """Up to which share."""
    at_equal: Measured | None = None
    """A number at equal values of which two methods are compared, over what both go through, such as the training loss."""
    under: RowFilter = RowFilter()
    """The backbones and data sets; each pair of them is a cell of its own."""

    @model_validator(mode="after")
    def _has_methods(self) -> Self:
        if not self.methods and not all(each.method for each in self.order):
            raise ValueError("no method is said in its order; say one, or the `methods` that are meant in turn")
        return self

    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        if not evidence.series:
            raise NoRowError("no probe has measured anything")
        for backbone, dataset in dict.fromkeys((each.backbone, each.dataset) for each in evidence.series):
            if not self._covers(backbone, dataset):
                continue
            found = {
                (each.probe, each.number, each.method): each
                for each in evidence.series
                if (each.backbone, each.dataset) == (backbone, dataset)
            }
            own = dict.fromkeys(method for _, _, method in found if matches(self.methods, method))
            for method in own if self.methods else ("",):
                for larger, smaller in pairwise(self.order):
                    yield self._cell(found, larger, smaller, method, f"({backbone}, {dataset})", evidence.confidence)

    def _cell(
        self,
        found: Mapping[tuple[str, str, str], Series],
        larger: Measured,
        smaller: Measured,
        method: str,
        where: str,
        level: float,
    ) -> Comparison:
        sides = [each.replace(method=each.method or method) for each in (larger, smaller)]
        cell = f"{self._called(sides[0])} over {self._called(sides[1])} {where}"
        needed = [self._key(side) for side in sides]
        if self.at_equal is not None:
            needed += [self._key(self.at_equal, of=side.method) for side in sides]
        for probe, number, whose in needed:
            if (probe, number, whose) not in found:
                return Comparison(
                    cell, missing=f"{probe or 'the training'} has measured no {number} of {whose or 'anything'}"
                )
        series = [found[key] for key in needed]
        if self.at_equal is not None:
            gaps = [
                gap
                for seed in range(min(len(each.by_seed) for each in series))
                if (gap := _gap_at_equal(series, seed, sides[0].times, sides[1].times)) is not None
            ]
            if not gaps:
                return Comparison(cell, missing=f"the two never have the same {self.at_equal.number}")
            return Comparison(cell, estimate=paired(gaps, level=level))
        values = [self._of(each, side) for each, side in zip(series, sides, strict=True)]
        if not (values[0] and values[1]):
            return Comparison(cell, missing="nothing was measured in that part of the training")
        differences = [a - b for a, b in zip(*values, strict=False)]
        return Comparison(cell, estimate=paired(differences, level=level))

    def _key(self, side: Measured, *, of: str = "") -> tuple[str, str, str]:
        return (
            self.probe if side.probe is None else side.probe,
            self.number if side.number is None else side.number,
            side.method or of,
        )

    def _called(self, side: Measured) -> str:
        probe, number, method = self._key(side)
        share = (side.since, side.until)
        part = "" if share == (None, None) else f" in {side.since or self.since:g} to {side.until or self.until:g}"
        factor = "" if side.times == 1 else f"{side.times:g} × "
        return f"{factor}{probe}: {number} of {method}{part}" if probe else f"{factor}{number} of {method}{part}"

    def _covers(self, backbone: str, dataset: str) -> bool:
        asked = ((self.under.backbone, backbone), (self.under.dataset, dataset))
        return all(not patterns or matches(patterns, label) for patterns, label in asked)

    def _of(self, series: Series, side: Measured) -> list[float]:
        """Return the one number of each seed; nothing where no epoch is in the part that is asked for."""
        since = self.since if side.since is None else side.since
        until = self.until if side.until is None else side.until
        last = series.total or series.epochs[-1]
        inside = [at for at, epoch in enumerate(series.epochs) if since * last <= epoch <= until * last]
        found = []
        for seed in series.by_seed if inside else ():
            values = [seed[at] for at in inside]
            highest = max(values)
            found.append(
                side.times
                * {
                    "mean": sum(values) / len(values),
                    "sum": sum(values),
                    "last": values[-1],
                    "highest": highest,
                    "when_highest": float(series.epochs[inside[values.index(highest)]]),
                }[self.over]
            )
        return found


def _gap_at_equal(series: list[Series], seed: int, *times: float) -> float | None:
    """Return the mean difference of the first two series at equal values of the last two; None where those share none."""
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
    return float((first - second).mean())
