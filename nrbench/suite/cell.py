"""Trainings and cells: what is computed, and the keys its results are stored under."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import Field

from nrbench.base.chance import STREAM_VERSION
from nrbench.base.component import Frozen, digest
from nrbench.families.backbone import Backbone
from nrbench.families.dataset import Dataset
from nrbench.families.method import Method
from nrbench.families.noise import NoiseModel
from nrbench.families.row import BatchNorm
from nrbench.families.selection import Selection
from nrbench.suite.recipe import Recipe

PROTOCOL_VERSION = 2
"""Raise it when training or evaluation change what they compute: every stored result is then another protocol's."""


class _Keyed:
    """What is the same where its key is the same."""

    key: str

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, eq=False)
class Training(_Keyed):
    """One network trained once."""

    dataset: Dataset
    backbone: Backbone
    method: Method
    recipe: Recipe
    seed: int

    @property
    def epochs(self) -> int:
        """Passes over the training images: those of the recipe, none where the method does not train."""
        return self.recipe.epochs if self.method.trains else 0

    @cached_property
    def key(self) -> str:  # type: ignore[override]
        """The name of its results: a hash of everything that can change them."""
        parts = (self.dataset, self.backbone, self.method, self.recipe)
        return digest(["training", PROTOCOL_VERSION, STREAM_VERSION, *(part.fingerprint for part in parts), self.seed])


@dataclass(frozen=True, eq=False)
class Cell(_Keyed):
    """A training judged under a noise model: the smallest thing that has a result."""

    training: Training
    noise: NoiseModel
    draws: int
    selection: Selection
    batch_norm: BatchNorm = "frozen"

    @cached_property
    def key(self) -> str:  # type: ignore[override]
        """The name of its result: a hash of everything that can change it."""
        parts = (self.noise.fingerprint, self.draws, self.selection.fingerprint, self.batch_norm)
        return digest(["cell", PROTOCOL_VERSION, STREAM_VERSION, self.training.key, *parts])


class Evaluation(Frozen):
    """How cells are judged."""

    batch_norm: BatchNorm | Annotated[tuple[BatchNorm, ...], Field(min_length=1)] = "frozen"
    """A list asks for both, as rows of their own."""

    @property
    def modes(self) -> tuple[BatchNorm, ...]:
        """The treatments asked for."""
        return (self.batch_norm,) if isinstance(self.batch_norm, str) else tuple(dict.fromkeys(self.batch_norm))
