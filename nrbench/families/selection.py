"""Selections: which epoch's weights a cell is judged on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from nrbench.base.component import Component
from nrbench.families.executor import attempt
from nrbench.families.noise import NoiseModel
from nrbench.families.probe import Scoring


class Selection(Component, family="selections"):
    """Family: the rule that chooses an epoch for each noise model."""

    @abstractmethod
    def scoring(self, noise: NoiseModel) -> Scoring | None:
        """Return what has to be measured after every epoch to choose one for cells under `noise`; None for nothing."""

    @abstractmethod
    def choose(self, scores: Sequence[int | None]) -> int:
        """Return the epoch chosen among 1 … len(scores); `scores` are in order of epochs, None where none were asked for.

        It is asked after every epoch, and the epochs it would choose then are the ones whose weights are kept.
        """


def chosen_on(selection: Selection, noise: NoiseModel) -> Literal["validation", "test"] | None:
    """Return the images that epochs are chosen on, if any are; nothing of a rule that raises, whose cells say so."""
    found = attempt(selection.scoring, noise)
    return found.on if isinstance(found, Scoring) else None


class Last(Selection):
    """The weights at the end of the training."""

    name: Literal["last"] = "last"

    def scoring(self, noise: NoiseModel) -> None:
        return None

    def choose(self, scores: Sequence[int | None]) -> int:
        return len(scores)


class BestEpoch(Selection):
    """The epoch with the highest accuracy under the cell's own noise, each noise level for itself; ties to the earliest.

    With `under`, one epoch for all noise levels.
    """

    name: Literal["best_epoch"] = "best_epoch"

    on: Literal["validation", "test"] = "validation"
    """The images the epoch is chosen on. `test` is the paper's protocol: it sees the images it is then judged on."""
    draws: int = Field(default=50, ge=1)
    """Into how many chunks the images are cut, each of which meets a draw of its own."""
    under: NoiseModel | None = None
    """The noise that the epoch is chosen under, whatever it is then judged under."""

    def scoring(self, noise: NoiseModel) -> Scoring:
        noise = self.under or noise
        return Scoring(on=self.on, draws=self.draws if noise.random else 1, noise=noise)

    def choose(self, scores: Sequence[int | None]) -> int:
        best = max(range(len(scores)), key=lambda epoch: (scores[epoch] or 0, -epoch))
        return best + 1
