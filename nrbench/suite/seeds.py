"""Seeds: how many trainings of everything there are, or how many there may become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from nrbench.base.component import Frozen


class GrowingSeeds(Frozen):
    """Seeds are added one by one, to all methods alike, until every pair that `report.resolve` names is told apart."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    first: int = Field(alias="from")
    """Seeds to begin with, three or more: of fewer a spread cannot be told."""
    last: int = Field(alias="to", le=100)
    """Seeds at which it ends in any case."""
    until: Literal["resolved"]
    """What ends it before."""

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.first < 3:
            raise ValueError(f"it begins with {self.first} seeds, of which no spread can be told; begin with 3 or more")
        if self.last <= self.first:
            raise ValueError(f"there is nothing to add from {self.first} to {self.last}")
        return self


class GrownSeeds(GrowingSeeds):
    """So many of the seeds that there may become."""

    number: int


def _kind(value: Any) -> str:
    return "map" if isinstance(value, Mapping | GrowingSeeds) else "number"


Seeds = Annotated[
    Annotated[int, Field(ge=1, le=1000), Tag("number")] | Annotated[GrowingSeeds, Tag("map")], Discriminator(_kind)
]
"""A number, or a map that says from how many to how many."""
