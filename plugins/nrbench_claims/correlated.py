"""Accuracies under two noise models that go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from nrbench import Patterns, RowFilter
from nrbench_claims.comparison import Comparison, ComparisonClaim
from nrbench_claims.rows import NoRowError, RowSet


class Correlated(ComparisonClaim):
    """Over the methods of a group, accuracies under two noise models correlate; the effect is in units of r, not points."""

    name: Literal["correlated"] = "correlated"

    groups: tuple[Patterns, ...] = Field(min_length=1)
    """Groups of methods, at least three in each; each is a cell."""
    x: str
    """The label of one noise model."""
    y: str
    """The label of the other."""
    at_least: float = Field(default=0.9, gt=-1, lt=1)
    """What Pearson's r is said to exceed."""
    under: RowFilter = RowFilter()
    """Where it is looked at: every backbone and data set is a cell of its own."""

    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        for group in self.groups:
            for where in evidence.each(self.under, ["dataset", "backbone"]):
                try:
                    yield self._comparison(group, where, evidence)
                except NoRowError as error:
                    yield Comparison(" or ".join(group), missing=str(error))

    def _comparison(self, group: Patterns, where: RowFilter, evidence: RowSet) -> Comparison:
        x, y = (
            {row.method: row for row in evidence.found(where.replace(noise=(noise,)), RowFilter(best_of=group))}
            for noise in (self.x, self.y)
        )
        both = [method for method in x if method in y]
        cell = f"{' or '.join(group)}, {len(both)} methods"
        estimate = evidence.correlation([x[m] for m in both], [y[m] for m in both], against=self.at_least)
        if estimate is None:
            raise NoRowError(f"{cell} have no correlation to speak of")
        r = estimate.effect + self.at_least
        return Comparison(f"{cell}: r = {r:.3f}", estimate=estimate, agrees=r >= self.at_least)
