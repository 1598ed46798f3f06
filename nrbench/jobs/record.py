"""The record of a training: how far it is, where it can go on, and which of its epochs' weights are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from nrbench.base.component import canonical
from nrbench.families.probe import Probe
from nrbench.jobs.device import environment
from nrbench.jobs.history import CheckpointRecord, EpochRecord, TrainingRecord
from nrbench.jobs.results import Environment
from nrbench.jobs.store import TrainingStore
from nrbench.jobs.train import Checkpoint, Trained
from nrbench.suite.cell import Training

Weights = dict[str, Tensor]
Measure = Callable[[Weights, Sequence[Probe]], Mapping[str, dict[str, float]]]
"""Measures probes on weights and returns what it can, by fingerprint."""
Observe = Callable[
    [int, Weights, Weights | None, Sequence[Probe]], tuple[Mapping[str, dict[str, float]], Mapping[str, str]]
]
"""Does the same for an epoch, given the weights of the one before, and returns why it could not beside it."""


class Record:
    """What is stored of one training, and the one who writes it."""

    def __init__(self, stored: TrainingStore, training: Training, device: torch.device, *, fresh: bool) -> None:
        self.training = training
        self._stored, self._here = stored, environment(device)
        self._record = TrainingRecord() if fresh else stored.record()

    @property
    def epochs(self) -> tuple[EpochRecord, ...]:
        """What was seen of each epoch."""
        return self._record.epochs

    @property
    def diverged(self) -> bool:
        """Whether the training loss was not finite."""
        return self._record.diverged

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self._record.finished(self.training.epochs)

    @property
    def environments(self) -> tuple[Environment, ...]:
        """Those it was trained in, and this one."""
        return tuple(dict.fromkeys([*self._record.environments, self._here]))

    def weights(self, epoch: int) -> Weights | None:
        """Return the weights of an epoch, None when they are not stored whole."""
        return self._stored.weights(self._record, epoch)

    def restart(self) -> None:
        """Forget everything: the training begins anew."""
        self._record = TrainingRecord()

    def resumed(self) -> Checkpoint | None:
        """Return the latest place where training can go on and forget what came after it; None for the beginning."""
        checkpoint = next(filter(None, map(self._checkpoint, reversed(self._record.checkpoints))), None)
        start = checkpoint.epoch if checkpoint else 0
        self._record = self._record.replace(
            epochs=self._record.epochs[:start],
            kept={epoch: sha for epoch, sha in self._record.kept.items() if epoch <= start},
            checkpoints=tuple(each for each in self._record.checkpoints if each.epoch <= start),
        )
        return checkpoint

    def _checkpoint(self, record: CheckpointRecord) -> Checkpoint | None:
        if record.epoch > len(self._record.epochs):
            return None
        tensors, weights = self._stored.checkpoint(record), self.weights(record.epoch)
        if tensors is None or weights is None:
            return None
        return Checkpoint(record.epoch, weights, tensors, record.scalars)

    def measure_missing(self, probes: Callable[[], Sequence[Probe]], measure: Measure) -> bool:
        """Measure stored epochs for probes asked for later; False when weights that this needs are not stored."""
        epochs = list(self._record.epochs)
        for index, epoch in enumerate(epochs):
            missing = [probe for probe in probes() if probe.fingerprint not in epoch.measured]
            if not missing:
                continue
            weights = self.weights(index + 1)
            if weights is None:
                return False
            epochs[index] = epoch.replace(measured={**epoch.measured, **measure(weights, missing)})
        if tuple(epochs) != self._record.epochs:
            self._write(self._record.replace(epochs=tuple(epochs)))
        return True

    def measure_more(self, probes: Sequence[Probe], observe: Observe) -> None:
        """Measure probes on the stored epochs that lack them, as far as their weights are kept."""
        for number, lacking in self._record.left(probes, self.training.epochs).items():
            weights, epochs = self.weights(number), list(self._record.epochs)
            measured: Mapping[str, dict[str, float]]
            failed: Mapping[str, str]
            if weights is None:
                measured, failed = {}, _gone(lacking)
            else:
                measured, failed = observe(number, weights, self.weights(number - 1), lacking)
            known = epochs[number - 1]
            epochs[number - 1] = known.replace(
                measured={**known.measured, **measured}, failed={**known.failed, **failed}
            )
            self._write(self._record.replace(epochs=tuple(epochs)))

    def diverge(self) -> None:
        """Write down that the loss is not finite: there is nothing to go on from."""
        self._write(self._record.replace(diverged=True, checkpoints=()))

    def add(
        self,
        trained: Trained,
        weights: Weights,
        *,
        measured: Mapping[str, dict[str, float]],
        failed: Mapping[str, str],
        seconds: float,
        keep: Callable[[Sequence[EpochRecord]], Iterable[int]] | None,
    ) -> None:
        """Write down an epoch, its weights and, when it is time, where the training can go on.

        Epochs that `keep` does not name, given all so far, are dropped once they would take too much room; None keeps all.
        """
        if trained.epoch:
            seen = EpochRecord(
                loss=trained.loss,
                passes_per_step=trained.passes_per_step,
                seconds=seconds,
                measured=dict(measured),
                failed=dict(failed),
            )
            self._record = self._record.replace(epochs=(*self._record.epochs, seen))
        kept = self._record.kept | {trained.epoch: self._stored.save_weights(trained.epoch, weights)}
        checkpoints = self._checkpoints(trained, weights)
        size = sum(tensor.nbytes for tensor in weights.values())
        if keep is not None and self.training.epochs * size > self.training.recipe.keep_epochs:
            needed = {trained.epoch, *keep(self._record.epochs), *(each.epoch for each in checkpoints)}
            kept = {epoch: sha for epoch, sha in kept.items() if epoch in needed}
        self._write(
            self._record.replace(
                kept=kept,
                checkpoints=checkpoints,
                environments=self.environments,
                state_models=trained.state_models,
            )
        )

    def _checkpoints(self, trained: Trained, weights: Weights) -> tuple[CheckpointRecord, ...]:
        """Return the last two checkpoints, one made now if it is time; a training that is through needs none."""
        if trained.epoch >= self.training.epochs:
            return ()
        if trained.epoch % self.training.recipe.checkpoint_every:
            return self._record.checkpoints
        state = trained.checkpoint(weights)
        sha256 = self._stored.save_checkpoint(state.epoch, state.tensors)
        latest = CheckpointRecord(epoch=state.epoch, scalars=state.scalars, sha256=sha256)
        return (*self._record.checkpoints, latest)[-2:]

    def _write(self, record: TrainingRecord) -> None:
        self._record = record
        training = self.training
        parts = (training.dataset, training.backbone, training.method, training.recipe)
        self._stored.write(record, spec={"seed": training.seed, "parts": [canonical(part) for part in parts]})


def _gone(probes: Sequence[Probe]) -> dict[str, str]:
    return {probe.fingerprint: "the weights of this epoch are lost" for probe in probes}
