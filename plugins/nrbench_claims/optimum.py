"""Where the best strength of a group of methods lies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from nrbench import Claim, Comparison, Evidence, Frozen, Labelled, NoRowError, Patterns, Place, Term, best


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


class _Group(Claim):
    """What the claims of this file have in common: a group of methods that differ in one strength."""

    best_of: Patterns = Field(min_length=1)
    """The group of methods."""
    field: str
    """The parameter that is their strength, such as rho, or method.rho in a ramp."""
    under: Place = Place()
    """Where it is looked at: every noise model, backbone and data set is a cell of its own."""

    def comparisons(self, evidence: Evidence) -> Iterator[Comparison]:
        for place in evidence.each(self.under, ["dataset", "backbone", "noise"]):
            try:
                yield self._comparison(evidence.found(place, Place(best_of=self.best_of)), place, evidence)
            except NoRowError as error:
                yield Comparison(f"best {self.field} of {' or '.join(self.best_of)}", missing=str(error))

    @abstractmethod
    def _comparison(self, rows: Sequence[Labelled], place: Place, evidence: Evidence) -> Comparison:
        """Return the cell of one place, given the group's rows there."""

    def _strengths(self, rows: Sequence[Labelled], evidence: Evidence) -> dict[str, float]:
        return {row.method: evidence.strength(row, self.field) for row in rows}


class OptimumAbove(_Group):
    """The best strength of a group lies above a number: a level of the noise, say, or the best strength elsewhere."""

    name: Literal["optimum_above"] = "optimum_above"

    above: float | Level | Optimum
    """The number."""

    def _comparison(self, rows: Sequence[Labelled], place: Place, evidence: Evidence) -> Comparison:
        limit, strengths = self._limit(place, rows[0], evidence), self._strengths(rows, evidence)
        higher = best([row for row in rows if strengths[row.method] > limit])
        lower = best([row for row in rows if strengths[row.method] <= limit])
        top = strengths[_best(rows).method]
        cell = f"best {self.field} {top:g}, above {limit:g}: {_at(rows[0])}"
        return Comparison(cell, _difference(higher, lower), agrees=top > limit)

    def _limit(self, place: Place, row: Labelled, evidence: Evidence) -> float:
        if isinstance(self.above, float):
            return self.above
        if isinstance(self.above, Level):
            return self.above.times * evidence.level(row, self.above.field)
        elsewhere = place.replace(noise=self.above.noise or place.noise)
        return evidence.strength(evidence.one(elsewhere, Place(best_of=self.above.best_of)), self.above.field)


class OptimumInside(_Group):
    """The best strength of a group lies inside its grid, at neither end."""

    name: Literal["optimum_inside"] = "optimum_inside"

    def _comparison(self, rows: Sequence[Labelled], place: Place, evidence: Evidence) -> Comparison:
        strengths = self._strengths(rows, evidence)
        edges = {min(strengths.values()), max(strengths.values())}
        top = strengths[_best(rows).method]
        inside = best([row for row in rows if strengths[row.method] not in edges])
        edge = best([row for row in rows if strengths[row.method] in edges])
        cell = f"best {self.field} {top:g} of {min(edges):g} to {max(edges):g}: {_at(rows[0])}"
        return Comparison(cell, _difference(inside, edge), agrees=top not in edges)


class SameOptimum(_Group):
    """The best strength of a group is the same under every noise model."""

    name: Literal["same_optimum"] = "same_optimum"

    as_under: Patterns = ()
    """The noise model whose best strength it is said to be; by default it is the one that is best on average."""

    def _comparison(self, rows: Sequence[Labelled], place: Place, evidence: Evidence) -> Comparison:
        common, top = self._common(place, evidence), _best(rows).method
        mine = best([row for row in rows if row.method == common])
        others = best([row for row in rows if row.method != common])
        return Comparison(
            f"best {top}, expected {common}: {_at(rows[0])}", _difference(mine, others), agrees=top == common
        )

    def _common(self, place: Place, evidence: Evidence) -> str:
        group = Place(best_of=self.best_of)
        if self.as_under:
            return evidence.one(place.replace(noise=self.as_under), group).method
        sums: dict[str, float] = {}
        for row in evidence.found(place.replace(noise=self.under.noise), group):
            sums[row.method] = sums.get(row.method, 0.0) + (row.chosen_by or 0.0)
        return max(sums, key=lambda method: sums[method])


def _best(rows: Sequence[Labelled]) -> Labelled:
    found = best(rows)
    if found is None:
        raise NoRowError("a row of the group has no result")
    return found


def _difference(first: Labelled | None, second: Labelled | None) -> tuple[Term, ...]:
    """Return the difference of two rows; nothing when the grid has no strength on one side."""
    return () if first is None or second is None else ((1, first), (-1, second))


def _at(row: Labelled) -> str:
    return f"{row.noise}, {row.backbone}"
