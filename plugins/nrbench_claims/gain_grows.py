"""A difference that grows along a list of noise models."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from pydantic import Field

from nrbench import Frozen, RowFilter
from nrbench_claims.comparison import Comparison, ComparisonClaim
from nrbench_claims.rows import NoRowError, RowSet


class Gain(Frozen):
    """The accuracy of one row over another's."""

    of: RowFilter
    """What gains."""
    over: RowFilter
    """What it is compared with."""


class GainGrows(ComparisonClaim):
    """What one method gains over another grows from each noise model to the next."""

    name: Literal["gain_grows"] = "gain_grows"

    gains: tuple[Gain, ...] = Field(min_length=1)
    """The differences."""
    along: tuple[str, ...] = Field(min_length=2)
    """The labels of noise models, in the order of growth; each step is a cell."""
    under: RowFilter = RowFilter()
    """Where it is looked at: every backbone and data set is a cell of its own."""

    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        for gain in self.gains:
            for where in evidence.each(self.under, ["dataset", "backbone"]):
                for lower, higher in pairwise(self.along):
                    yield _step(gain, where, lower, higher, evidence)


def _step(gain: Gain, where: RowFilter, lower: str, higher: str, evidence: RowSet) -> Comparison:
    cell = f"gain at {higher} over gain at {lower}"
    try:
        before, after = (where.replace(noise=(noise,)) for noise in (lower, higher))
        terms = (
            (1, evidence.one(gain.of, after)),
            (-1, evidence.one(gain.over, after)),
            (-1, evidence.one(gain.of, before)),
            (1, evidence.one(gain.over, before)),
        )
    except NoRowError as error:
        return Comparison(cell, missing=str(error))
    return Comparison(f"{terms[0][1].method} over {terms[1][1].method}, {cell} ({terms[0][1].backbone})", terms)
