"""Left: what of a job is still to be computed, in forward-backward passes over one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nrbench.families.probe import Observer, Probe
from nrbench.jobs.data import CALIBRATION_IMAGES
from nrbench.jobs.history import TrainingRecord, is_due
from nrbench.jobs.job import Job
from nrbench.suite.cell import Cell

FORWARD = 1 / 3
"""A forward pass, as a part of one forward and backward."""


class Left(NamedTuple):
    """What is left of a job, given what is stored of its training."""

    epochs: int
    """To be trained, where the weights that the cells need are kept."""
    trained: float
    """Passes of the steps of those epochs, as the method plans them."""
    probed: float
    """Passes of the probes, of those epochs and of stored ones that lack them."""
    clean: int
    """Images to be classified without noise, to choose epochs and judge cells."""
    noisy: int
    """The same under noise."""

    @property
    def passes(self) -> float:
        """Everything together."""
        return self.trained + self.probed + FORWARD * (self.clean + self.noisy)


def left(job: Job, record: TrainingRecord, sizes: Mapping[str, int], *, fresh: bool = False) -> Left:
    """Return what is left of a job; `sizes` are the images of each split, `fresh` says that stored epochs are made again."""
    epochs = epochs_left(job, record, fresh=fresh)
    scorings = {scoring for cell in job.cells if (scoring := cell.selection.scoring(cell.noise)) is not None}
    looks = [(scoring.noise.random, epochs * sizes[scoring.on]) for scoring in scorings]
    looks += [(cell.noise.random, _images(cell, sizes)) for cell in job.cells]
    return Left(
        epochs=epochs,
        trained=epochs * job.training.recipe.passes_of(job.training.method) * sizes["train"],
        probed=sum(probe.passes(sizes) * _times(probe, job, record, epochs) for probe in job.probes),
        clean=sum(images for random, images in looks if not random),
        noisy=sum(images for random, images in looks if random),
    )


def epochs_left(job: Job, record: TrainingRecord, *, fresh: bool = False) -> int:
    """Return how many epochs are to be trained; none where only probes are missing, or the training is through."""
    if not job.cells or (record.finished(job.training.epochs) and not fresh):
        return 0
    return job.training.epochs - (0 if fresh else len(record.epochs))


def _times(probe: Probe, job: Job, record: TrainingRecord, epochs: int) -> int:
    total = job.training.epochs
    later = 0 if isinstance(probe, Observer) else sum(probe in each for each in record.left([probe], total).values())
    return sum(is_due(probe, epoch, total) for epoch in range(total - epochs + 1, total + 1)) + (
        later if not epochs else 0
    )


def _images(cell: Cell, sizes: Mapping[str, int]) -> int:
    """Return the images that a cell's networks see: of each draw the test images, and what BatchNorm is estimated on."""
    anew = min(CALIBRATION_IMAGES, sizes["train"]) if cell.batch_norm == "recalibrated" else 0
    return (cell.draws if cell.noise.random else 1) * (sizes["test"] + anew)
