"""Results: what a cell is found to be, as it is stored."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from nrbench.base.component import Frozen
from nrbench.base.errors import LONGEST
from nrbench.families.executor import FailureKind
from nrbench.suite.cell import Cell

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""The name of a training or a cell in the store: 128 bits of a hash."""


LARGEST = 1e30
"""The largest number that is stored: sums and pictures of larger ones overflow."""


class Environment(Frozen):
    """What equal bytes depend on beside the configuration; more than one in a leaderboard is a flag."""

    nrbench: str
    torch: str
    numpy: str
    device: str
    """`cpu`, or the accelerator's name."""
    capability: str
    """The instruction set torch computes with on the CPU, or the accelerator's compute capability."""


class Score(Frozen):
    """Right answers among the images that an epoch was chosen on."""

    correct: int = Field(ge=0)
    images: int = Field(ge=1)

    @model_validator(mode="after")
    def _is_a_count(self) -> Self:
        if self.correct > self.images:
            raise ValueError(f"{self.correct} of {self.images} images are right")
        return self


class CellResult(Frozen):
    """A cell's counts of right answers; every number on the leaderboard is made of these."""

    status: Literal["ok", "diverged"] = "ok"
    correct: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    """Right answers of each draw."""
    images: int = Field(ge=1)
    """Images in the test set."""
    epoch: int = Field(ge=0)
    """The epoch that was judged."""
    clean_correct: int = Field(ge=0)
    """Right answers of the same weights without noise."""
    displacement_norm: Annotated[float, Field(ge=0, le=LARGEST)] | None
    """‖δ‖, mean over the draws; None when the weights are not finite."""
    weight_norm: Annotated[float, Field(ge=0, le=LARGEST)] | None
    """‖w‖ over all weights."""
    training: Key
    """The key of its training, which the judged weights are stored under."""
    start: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the first weights; None where nothing was trained here."""
    chosen_with: Score | None
    """What the epoch was chosen for; None where nothing was measured to choose it."""
    epochs: int = Field(ge=0)
    """Epochs trained."""
    loss: Annotated[float, Field(ge=-LARGEST, le=LARGEST)] | None
    """Training loss of the last epoch; None when it is not finite."""
    passes_per_step: float = Field(ge=0, le=LARGEST)
    """Forward-backward passes per step, mean over the training."""
    environments: tuple[Environment, ...]
    """Those it was trained and judged in; one, unless a training was resumed or a cell added elsewhere."""

    @model_validator(mode="after")
    def _is_a_count(self) -> Self:
        if max(*self.correct, self.clean_correct) > self.images:
            raise ValueError(f"more than {self.images} of {self.images} images are right")
        if self.epoch > self.epochs:
            raise ValueError(f"epoch {self.epoch} of {self.epochs} was judged")
        return self

    def against(self, cell: Cell, *, images: int | None = None) -> str:
        """Return in what it is not the result of a cell, judged on so many images if that is known; nothing where it is."""
        training = cell.training
        if self.training != training.key:
            return "it is of another training"
        if len(self.correct) != cell.draws:
            return f"it has {len(self.correct)} draws and not {cell.draws}"
        if self.status == "ok" and self.epochs != training.epochs:
            return f"it has {self.epochs} epochs and not {training.epochs}"
        if self.status == "ok" and training.epochs and not self.epoch:
            return "it judged a network that was not trained"
        if images is not None and self.images != images:
            return f"it is about {self.images} images and not {images}"
        return ""


class CellFailure(Frozen):
    """A cell without a result: shown, and skipped until failures are retried."""

    status: FailureKind
    message: Annotated[str, AfterValidator(lambda text: text[:LONGEST])]
    traceback: str = ""
    log: str | None = None
    """The file with what its job printed, if it printed anything."""


Result = CellResult | CellFailure | None
"""What is stored for a cell, if anything is."""


def accuracies(result: CellResult) -> list[float]:
    """Return the accuracy of each draw in percent."""
    return [100 * correct / result.images for correct in result.correct]


def score(cell: Result) -> float | None:
    """Return the mean accuracy over draws in percent, None for a cell that has no number.

    It is made of whole numbers, so that equal sums of right answers are equal scores.
    """
    if not (isinstance(cell, CellResult) and cell.status == "ok"):
        return None
    return 100 * sum(cell.correct) / (cell.images * len(cell.correct))
