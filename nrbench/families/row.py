"""Places: which rows of a leaderboard are meant, said by patterns for their labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BeforeValidator, WithJsonSchema

from nrbench.base.component import Frozen


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Patterns = Annotated[tuple[str, ...], BeforeValidator(_listed), WithJsonSchema(_TEXTS)]
"""A label, or a pattern for labels such as "SAM *", or a list of them; none leaves it open."""


class Labelled(Protocol):
    """A number with the labels of what it is about: a row of a leaderboard, or a number that a paper printed."""

    @property
    def method(self) -> str: ...
    @property
    def backbone(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def noise(self) -> str: ...
    @property
    def accuracy(self) -> float | None:
        """In percent."""

    @property
    def chosen_by(self) -> float | None:
        """What the best of a group is the highest of, in percent."""

    @property
    def noise_std(self) -> float | None:
        """Between draws, in percentage points."""

    @property
    def weight_std(self) -> float | None:
        """Between seeds, in percentage points."""

    @property
    def seeds(self) -> int:
        """How many seeds the accuracy is the mean of."""


Row_ = TypeVar("Row_", bound=Labelled)


class Place(Frozen):
    """Rows by their labels: each field is a label, a pattern such as "SAM *", or a list of them. What is not said is open."""

    method: Patterns = ()
    """The method."""
    best_of: Patterns = ()
    """A group of methods of which the best is taken: on validation where epochs are chosen there, strength and epoch
    together, else by the accuracy itself."""
    backbone: Patterns = ()
    """The backbone; with several the best of them is taken."""
    dataset: Patterns = ()
    """The data set."""
    noise: Patterns = ()
    """The noise model."""

    def covers(self, row: Labelled) -> bool:
        """Whether a row is meant."""
        asked = (
            (self.method, row.method), (self.best_of, row.method), (self.backbone, row.backbone),
            (self.dataset, row.dataset), (self.noise, row.noise),
        )  # fmt: skip
        return all(not patterns or matches(patterns, label) for patterns, label in asked)


def matches(patterns: Iterable[str], label: str) -> bool:
    """Whether a label is one of the patterns, as it stands or with `*`, `?` and `[…]` in it."""
    return any(label == pattern or fnmatchcase(label, pattern) for pattern in patterns)


def covered(rows: Iterable[Row_], places: Sequence[Place]) -> list[Row_]:
    """Return the rows that all places mean, in their order."""
    return [row for row in rows if all(place.covers(row) for place in places)]


def chooses(places: Sequence[Place]) -> bool:
    """Whether places ask for the best of the rows they mean."""
    return any(place.best_of or len(place.backbone) > 1 for place in places)


def best(rows: Sequence[Row_]) -> Row_ | None:
    """Return the best of some rows, the first of equals; None unless every one of them has a number to choose by."""
    chosen: Row_ | None = None
    for row in rows:
        if row.chosen_by is None:
            return None
        if chosen is None or (chosen.chosen_by or 0) < row.chosen_by:
            chosen = row
    return chosen
