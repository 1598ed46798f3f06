"""Results: what a cell is found to be, as it is stored."""

from __future__ import annotations

from typing import Literal

from nrbench.base.component import Frozen
from nrbench.base.statistics import mean
from nrbench.families.executor import FailureKind


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

    correct: int
    images: int


class CellResult(Frozen):
    """A cell's counts of right answers; every number on the leaderboard is made of these."""

    status: Literal["ok", "diverged"] = "ok"
    correct: tuple[int, ...]
    """Right answers of each draw."""
    images: int
    """Images in the test set."""
    epoch: int
    """The epoch that was judged."""
    clean_correct: int
    """Right answers of the same weights without noise."""
    displacement_norm: float | None
    """‖δ‖, mean over the draws; None when the weights are not finite."""
    weight_norm: float | None
    """‖w‖ over all trainable weights."""
    training: str
    """The key of its training, which the judged weights are stored under."""
    chosen_with: Score | None
    """What the epoch was chosen for; None where nothing was measured to choose it."""
    epochs: int
    """Epochs trained."""
    loss: float | None
    """Training loss of the last epoch; None when it is not finite."""
    passes_per_step: float
    """Forward-backward passes per step, mean over the training."""
    environments: tuple[Environment, ...]
    """Those it was trained and judged in; one, unless a training was resumed or a cell added elsewhere."""


class CellFailure(Frozen):
    """A cell without a result: shown, and skipped until failures are retried."""

    status: FailureKind
    message: str
    traceback: str = ""
    log: str | None = None
    """The file with what its job printed, if it printed anything."""


Result = CellResult | CellFailure | None
"""What is stored for a cell, if anything is."""


def accuracies(result: CellResult) -> list[float]:
    """Return the accuracy of each draw in percent."""
    return [100 * correct / result.images for correct in result.correct]


def score(cell: Result) -> float | None:
    """Return the mean accuracy over draws in percent, None for a cell that has no number."""
    return mean(accuracies(cell)) if isinstance(cell, CellResult) and cell.status == "ok" else None
