"""One method is better than another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from nrbench import Frozen, RowFilter
from nrbench_claims.comparison import Comparison, ComparisonClaim
from nrbench_claims.rows import Label, NoRowError, RowSet, Term


class Quantity(RowFilter):
    """The accuracy of a row, or its difference to another row's."""

    minus: RowFilter | None = None
    """The row that is subtracted."""


class Pair(Frozen):
    """Two quantities, the first of which is said to be the larger."""

    a: Quantity
    """The larger one; every method that its `method` matches is a cell of its own."""
    b: Quantity
    """The smaller one, or the best of several."""
    under: RowFilter = RowFilter()
    """Where they are compared: every noise model, backbone and data set here is a cell of its own."""


class Better(ComparisonClaim):
    """One method is better than another, or one difference larger than another, wherever it is said."""

    name: Literal["better"] = "better"

    pairs: tuple[Pair, ...] = Field(min_length=1)
    """What is compared."""
    significant: bool = False
    """Whether a cell agrees only if its own 95 % interval is above zero, as a sentence about significance asks for."""

    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        for pair in self.pairs:
            fields: list[Label] = ["dataset", "backbone", "noise"]
            free = [field for field in fields if not getattr(pair.a, field)]
            for where in evidence.each(pair.under, free):
                narrowed = where.replace(method=pair.a.method)
                for each in evidence.each(narrowed, ["method"] if pair.a.method else []):
                    yield self._comparison(pair.a.replace(method=each.method), pair.b, where, evidence)

    def _comparison(self, a: Quantity, b: Quantity, where: RowFilter, evidence: RowSet) -> Comparison:
        try:
            larger, smaller = list(_terms(a, where, evidence)), list(_terms(b, where, evidence))
        except NoRowError as error:
            return Comparison(f"{_said(a)} over {_said(b)}", missing=str(error))
        cell = f"{_shown(larger)} over {_shown(smaller)}"
        terms = (*larger, *((-weight, row) for weight, row in smaller))
        if not self.significant:
            return Comparison(cell, terms)
        estimate = evidence.estimate(terms, beyond=self.at_least)
        return Comparison(cell, terms, agrees=estimate.effect > 0 and estimate.p < 1 - evidence.confidence)


def _terms(quantity: Quantity, around: RowFilter, evidence: RowSet) -> Iterator[Term]:
    yield 1, evidence.one(quantity, _unsaid(around, quantity))
    if quantity.minus is not None:
        yield -1, evidence.one(quantity.minus, _unsaid(around, quantity.minus))


def _unsaid(around: RowFilter, where: RowFilter) -> RowFilter:
    """Return what is said around rows, without what it says itself."""
    return around.replace(**{name: () for name in RowFilter.model_fields if getattr(where, name)})


def _shown(terms: list[Term]) -> str:
    return " less ".join(f"{row.method} ({row.noise}, {row.backbone})" for _, row in terms)


def _said(quantity: Quantity) -> str:
    return " or ".join(quantity.best_of or quantity.method)
