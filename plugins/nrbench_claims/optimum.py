"""Where the best strength of a group of methods lies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from nrbench import Frozen, Patterns, Row, RowFilter
from nrbench_claims.comparison import Comparison, ComparisonClaim
from nrbench_claims.rows import NoRowError, RowSet, Term


class Level(Frozen):
    """A parameter of the noise model that a group is judged under."""

    field: str
    """The parameter, such as sigma."""
    times: float = Field(default=1.0, gt=0)
    """What it is multiplied with."""


class Optimum(Frozen):
    """The best strength of another group, or of the same group elsewhere."""

    best_of: Patterns
    """The group."""
    field: str
    """The parameter that is its strength."""
    noise: Patterns = ()
    """The noise it is the best under; by default that of the comparison."""


class _Group(ComparisonClaim):
    """What the claims of this file have in common: a group of methods that differ in one strength."""

    best_of: Patterns = Field(min_length=1)
    """The group of methods."""
    field: str
    """The parameter that is their strength, such as rho, or method.rho in a ramp."""
    under: RowFilter = RowFilter()
    """Where it is looked at: every noise model, backbone and data set is a cell of its own."""

    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        for where in evidence.each(self.under, ["dataset", "backbone", "noise"]):
            try:
                rows, top = evidence.group(where, RowFilter(best_of=self.best_of))
                yield self._comparison(rows, top, where, evidence)
            except NoRowError as error:
                yield Comparison(f"best {self.field} of {' or '.join(self.best_of)}", missing=str(error))

    @abstractmethod
    def _comparison(self, rows: Sequence[Row], top: Row, where: RowFilter, evidence: RowSet) -> Comparison:
        """Return the cell of one such place, given the group's rows there and the best of them."""

    def _strengths(self, rows: Sequence[Row], evidence: RowSet) -> dict[str, float]:
        return {row.method: evidence.strength(row, self.field) for row in rows}


class OptimumAbove(_Group):
    """The best strength of a group lies above a number: a level of the noise, say, or the best strength elsewhere."""

    name: Literal["optimum_above"] = "optimum_above"

    above: float | Level | Optimum
    """The number."""

    def _comparison(self, rows: Sequence[Row], top: Row, where: RowFilter, evidence: RowSet) -> Comparison:
        limit, strengths = self._limit(where, rows[0], evidence), self._strengths(rows, evidence)
        higher = evidence.best([row for row in rows if strengths[row.method] > limit])
        lower = evidence.best([row for row in rows if strengths[row.method] <= limit])
        cell = f"best {self.field} {strengths[top.method]:g}, above {limit:g}: {_at(top)}"
        return Comparison(cell, _difference(higher, lower), agrees=strengths[top.method] > limit)

    def _limit(self, where: RowFilter, row: Row, evidence: RowSet) -> float:
        if isinstance(self.above, float):
            return self.above
        if isinstance(self.above, Level):
            return self.above.times * evidence.level(row, self.above.field)
        elsewhere = where.replace(noise=self.above.noise or where.noise)
        return evidence.strength(evidence.one(elsewhere, RowFilter(best_of=self.above.best_of)), self.above.field)


class OptimumInside(_Group):
    """The best strength of a group lies inside its grid, at neither end."""

    name: Literal["optimum_inside"] = "optimum_inside"

    def _comparison(self, rows: Sequence[Row], top: Row, where: RowFilter, evidence: RowSet) -> Comparison:
        strengths = self._strengths(rows, evidence)
        edges = {min(strengths.values()), max(strengths.values())}
        inside = evidence.best([row for row in rows if strengths[row.method] not in edges])
        edge = evidence.best([row for row in rows if strengths[row.method] in edges])
        cell = f"best {self.field} {strengths[top.method]:g} of {min(edges):g} to {max(edges):g}: {_at(top)}"
        return Comparison(cell, _difference(inside, edge), agrees=strengths[top.method] not in edges)


class SameOptimum(_Group):
    """The best strength of a group is the same under every noise model."""

    name: Literal["same_optimum"] = "same_optimum"

    as_under: Patterns = ()
    """The noise model whose best strength it is said to be; by default it is the one that is best on average."""

    def _comparison(self, rows: Sequence[Row], top: Row, where: RowFilter, evidence: RowSet) -> Comparison:
        common = self._common(where, evidence)
        mine = evidence.best([row for row in rows if row.method == common])
        others = evidence.best([row for row in rows if row.method != common])
        cell = f"best {top.method}, expected {common}: {_at(top)}"
        return Comparison(cell, _difference(mine, others), agrees=top.method == common)

    def _common(self, where: RowFilter, evidence: RowSet) -> str:
        group = RowFilter(best_of=self.best_of)
        if self.as_under:
            return evidence.one(where.replace(noise=self.as_under), group).method
        rows, _ = evidence.group(where.replace(noise=self.under.noise), group)
        noises = {row.noise for row in rows}
        scores: dict[str, list[float]] = {}
        for row in rows:
            scores.setdefault(row.method, []).append(row.chosen_by or 0.0)
        everywhere = {method: sum(values) for method, values in scores.items() if len(values) == len(noises)}
        if not everywhere:
            raise NoRowError("no method of the group is judged under all of the noise models")
        return max(everywhere, key=lambda method: everywhere[method])


def _difference(first: Row | None, second: Row | None) -> tuple[Term, ...]:
    """Return the difference of two rows; nothing when the grid has no strength on one side, or all of them diverged."""
    return ((1, first), (-1, second)) if first and second and first.chosen_by and second.chosen_by else ()


def _at(row: Row) -> str:
    return f"{row.noise}, {row.backbone}"
