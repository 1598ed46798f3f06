"""A difference that grows along a list of noise models."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from pydantic import Field

from nrbench import Claim, Comparison, Evidence, Frozen, NoRowError, Place


class Gain(Frozen):
    """The accuracy of one row over another's."""

    of: Place
    """What gains."""
    over: Place
    """What it is compared with."""


class GainGrows(Claim):
    """What one method gains over another grows from each noise model to the next."""

    name: Literal["gain_grows"] = "gain_grows"

    gains: tuple[Gain, ...] = Field(min_length=1)
    """The differences."""
    along: tuple[str, ...] = Field(min_length=2)
    """The labels of noise models, in the order of growth; each step is a cell."""
    under: Place = Place()
    """Where it is looked at: every backbone and data set is a cell of its own."""

    def comparisons(self, evidence: Evidence) -> Iterator[Comparison]:
        for gain in self.gains:
            for place in evidence.each(self.under, ["dataset", "backbone"]):
                for lower, higher in pairwise(self.along):
                    yield _step(gain, place, lower, higher, evidence)


def _step(gain: Gain, place: Place, lower: str, higher: str, evidence: Evidence) -> Comparison:
    cell = f"gain at {higher} over gain at {lower}"
    try:
        before, after = (place.replace(noise=(noise,)) for noise in (lower, higher))
        terms = (
            (1, evidence.one(gain.of, after)),
            (-1, evidence.one(gain.over, after)),
            (-1, evidence.one(gain.of, before)),
            (1, evidence.one(gain.over, before)),
        )
    except NoRowError as error:
        return Comparison(cell, missing=str(error))
    return Comparison(f"{terms[0][1].method} over {terms[1][1].method}, {cell} ({terms[0][1].backbone})", terms)
