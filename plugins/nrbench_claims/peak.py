"""A number that a probe measures rises along a list of methods and then falls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from nrbench import RowFilter, paired
from nrbench_claims.comparison import Comparison, ComparisonClaim
from nrbench_claims.probed import Over, networks, part_of, taken
from nrbench_claims.rows import RowSet


class ProbePeak(ComparisonClaim):
    """Along a list of methods a number that a probe measures is highest at neither end: it rises and then falls.

    The method with the highest mean over seeds of those in between is compared with each end; the effect is in the number's
    own unit.
    """

    name: Literal["probe_peak"] = "probe_peak"

    probe: str = ""
    """The label of the probe; that of no name has the training loss."""
    number: str = "loss"
    """Which of its numbers."""
    methods: tuple[str, ...] = Field(min_length=3)
    """The labels of methods in the order of their strength."""
    over: Over = "mean"
    """What of the epochs that were measured, as in `probe_order`."""
    since: float = Field(default=0.0, ge=0, le=1)
    """From which share of the training on."""
    until: float = Field(default=1.0, ge=0, le=1)
    """Up to which share."""
    under: RowFilter = RowFilter()
    """The backbones and data sets; each pair of them has two cells, one for each end."""

    def probed(self) -> Iterator[tuple[str, str, str]]:
        if self.probe:
            yield self.probe, self.number, "number"

    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        for found, where in networks(evidence, self.under):
            values: dict[str, list[float]] = {}
            for method in self.methods:
                series = found.get((self.probe, self.number, method))
                values[method] = (
                    [] if series is None else taken(series, part_of(series, self.since, self.until), self.over)
                )
            lacking = [method for method in self.methods if not values[method]]
            if lacking:
                yield Comparison(
                    where, missing=f"{self.probe or 'the training'} has measured no {self.number} of {lacking[0]}"
                )
                continue
            top = max(self.methods[1:-1], key=lambda method: sum(values[method]) / len(values[method]))
            for end in (self.methods[0], self.methods[-1]):
                gaps = [a - b - self.at_least for a, b in zip(values[top], values[end], strict=False)]
                cell = f"{self.over} {self.number} of {top} over {end} {where}"
                yield Comparison(cell, estimate=paired(gaps, level=evidence.confidence))
