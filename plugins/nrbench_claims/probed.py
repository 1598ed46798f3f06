"""Claims about what probes measured during training."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from pydantic import Field

from nrbench import RowFilter, Series, matches, paired
from nrbench_claims.comparison import Comparison, ComparisonClaim
from nrbench_claims.rows import NoRowError, RowSet


class ProbeOrder(ComparisonClaim):
    """A number that a probe measures is larger for each method than for the next; the effect is in the number's own unit."""

    name: Literal["probe_order"] = "probe_order"

    probe: str
    """The label of the probe."""
    number: str
    """Which of its numbers."""
    order: tuple[str, ...] = Field(min_length=2)
    """The labels of methods, from the largest to the smallest; each step is a cell."""
    over: Literal["mean", "sum", "last"] = "mean"
    """What of the epochs that were measured: their mean, their sum, such as a distance travelled, or the last one."""
    under: RowFilter = RowFilter()
    """The backbones and data sets; each pair of them is a cell of its own."""

    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        own = [each for each in evidence.series if (each.probe, each.number) == (self.probe, self.number)]
        if not own:
            raise NoRowError(f"no probe {self.probe!r} has measured a number {self.number!r}")
        networks = dict.fromkeys((each.backbone, each.dataset) for each in own)
        for backbone, dataset in networks:
            here = {each.method: each for each in own if (each.backbone, each.dataset) == (backbone, dataset)}
            if not self._covers(backbone, dataset):
                continue
            for larger, smaller in pairwise(self.order):
                cell = f"{self.number} of {larger} over {smaller} ({backbone}, {dataset})"
                lacking = [method for method in (larger, smaller) if method not in here]
                if lacking:
                    yield Comparison(cell, missing=f"{self.probe} has measured nothing of {lacking[0]}")
                else:
                    pairs = zip(self._of(here[larger]), self._of(here[smaller]), strict=False)
                    estimate = paired([first - second for first, second in pairs], level=evidence.confidence)
                    yield Comparison(cell, estimate=estimate)

    def _covers(self, backbone: str, dataset: str) -> bool:
        asked = ((self.under.backbone, backbone), (self.under.dataset, dataset))
        return all(not patterns or matches(patterns, label) for patterns, label in asked)

    def _of(self, series: Series) -> list[float]:
        """Return the one number of each seed."""
        if self.over == "last":
            return [values[-1] for values in series.by_seed]
        sums = [sum(values) for values in series.by_seed]
        return sums if self.over == "sum" else [total / len(series.epochs) for total in sums]
