"""The history of a training as it is stored: what was seen of each epoch, where it can go on, which weights are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, model_validator

from nrbench.base.component import Frozen
from nrbench.base.errors import told
from nrbench.families.probe import Probe
from nrbench.jobs.results import LARGEST, Environment

log = logging.getLogger(__name__)
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


class EpochRecord(Frozen):
    """What was seen of one epoch."""

    loss: Number
    passes_per_step: Number
    seconds: Number
    """Time for its steps alone."""
    measured: dict[str, dict[str, Number]] = Field(default_factory=dict)
    """What each probe measured, by its fingerprint."""
    failed: dict[str, str] = Field(default_factory=dict)
    """Why a probe measured nothing, by its fingerprint."""

    def lacks(self, probe: Probe) -> bool:
        """Whether nothing is known of a probe."""
        return probe.fingerprint not in self.measured and probe.fingerprint not in self.failed

    @model_validator(mode="before")
    @classmethod
    def _from_before_probes(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("scores"), dict):
            scores = {probe: {"correct": correct} for probe, correct in value["scores"].items()}
            return {key: item for key, item in value.items() if key != "scores"} | {"measured": scores}
        return value


def is_due(probe: Probe, epoch: int, epochs: int) -> bool:
    """Whether a probe is measured after an epoch; one that raises is not, which the log says."""
    try:
        return bool(probe.due(epoch, epochs))
    except Exception as error:
        log.warning("%s is not measured: whether it is due after epoch %d: %s", probe.name, epoch, told(error))
        return False


class CheckpointRecord(Frozen):
    """Where a training can go on."""

    epoch: int = Field(ge=0)
    scalars: dict[str, Any]
    sha256: str


class TrainingRecord(Frozen):
    """The one file that says how far a training is; the tensor files it names are written before it."""

    epochs: tuple[EpochRecord, ...] = ()
    diverged: bool = False
    environments: tuple[Environment, ...] = ()
    """Where its epochs were trained; more than one if it was resumed elsewhere."""
    state_models: Number | None = None
    """What optimizer and method remember between steps, in sizes of the model's parameters; None in older records."""
    checkpoints: tuple[CheckpointRecord, ...] = ()
    """Where it can go on, the latest last; the one before serves if that is damaged."""
    kept: dict[Annotated[int, Field(ge=0)], str] = Field(default_factory=dict)
    """SHA-256 of the weights of each kept epoch."""

    def finished(self, epochs: int) -> bool:
        """Whether nothing of so many epochs is left to train."""
        return self.diverged or (len(self.epochs) == epochs and bool(self.kept))

    def left(self, probes: Iterable[Probe], epochs: int) -> dict[int, list[Probe]]:
        """Return the probes that can still be measured, by the epochs, of so many, whose weights are kept."""
        found = {
            number: [probe for probe in probes if is_due(probe, number, epochs) and epoch.lacks(probe)]
            for number, epoch in enumerate(self.epochs, start=1)
            if number in self.kept
        }
        return {number: lacking for number, lacking in found.items() if lacking}
