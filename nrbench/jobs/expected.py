"""Expected: the time that jobs would take on this machine, from a few real steps and passes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

from nrbench.base.errors import DataError
from nrbench.families.dataset import Dataset, Splits, load_splits, made_up
from nrbench.jobs.bench import EvaluationCost, evaluation_cost, step_costs
from nrbench.jobs.data import Data
from nrbench.jobs.device import computing
from nrbench.jobs.job import Job
from nrbench.suite.cell import Training
from nrbench.suite.suite import Benchmark

log = logging.getLogger(__name__)


class Expected(NamedTuple):
    """The time that jobs would take."""

    seconds: float
    made_up: tuple[str, ...]
    """The data sets that are not here: it was measured on black images of the same shapes and numbers."""


def expected_time(benchmark: Benchmark, jobs: Sequence[Job], root: Path, device: torch.device) -> Expected:
    """Return the time that one worker would take for jobs of a suite, from a few real steps and passes on this device.

    On every backbone and data set steps of the baseline are timed, and a method's planned passes taken for its cost. Raise
    `DataError` for a data set that is not here and does not say how many images of which shape it has.
    """
    absent = set()

    @lru_cache(maxsize=2)
    def loaded(dataset: Dataset) -> Splits:
        try:
            return load_splits(dataset, root)
        except DataError as error:
            if dataset.sizes is None:
                raise
            log.info("%s", error)
            absent.add(dataset)
            return made_up(dataset)

    wanted = {_computed(job.training) for job in jobs}
    steps: dict[tuple[str, ...], float] = {}
    judged: dict[tuple[str, ...], EvaluationCost] = {}
    for suite in benchmark.parts:
        for labels, training in suite.own_trainings.items():
            where = _computed(training)
            if labels.method != suite.baseline or where not in wanted or where in steps:
                continue
            data = Data.from_splits(training, loaded(training.dataset), device)
            with computing(training.recipe, device):
                step = next(step_costs({labels.method: training.method}, training, data, seconds=0.0), None)
                judged[where] = evaluation_cost(suite.noise.values(), training, data, seconds=0.0)
            steps[where] = step.milliseconds / 1000 / step.passes if step else 0.0
    seconds = sum(
        _seconds_of(
            job, Data.from_splits(job.training, loaded(job.training.dataset), device), steps[where], judged[where]
        )
        for job in jobs
        if (where := _computed(job.training))
    )
    names = (label for label, dataset in benchmark.section("datasets").items() if dataset in absent)
    return Expected(seconds, tuple(dict.fromkeys(names)))


def _seconds_of(job: Job, data: Data, step: float, judged: EvaluationCost) -> float:
    training = job.training
    steps = -(-len(data.train) // training.recipe.batch_size) * training.epochs
    scorings = {scoring for cell in job.cells if (scoring := cell.selection.scoring(cell.noise)) is not None}
    passes = [(scoring.noise, training.epochs * len(data.splits[scoring.on])) for scoring in scorings]
    passes += [(cell.noise, cell.draws * len(data.splits["test"])) for cell in job.cells]
    seconds = steps * training.method.planned_passes() * step
    for noise, images in passes:
        slower = judged.noisy.value if noise.random and judged.noisy else 1.0
        seconds += images / judged.images_per_second * slower
    return seconds


def _computed(training: Training) -> tuple[str, ...]:
    return training.backbone.fingerprint, training.dataset.fingerprint, training.recipe.fingerprint
