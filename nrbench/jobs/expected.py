"""Expected: the time that jobs would take on this machine, from a few real steps and passes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
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
from nrbench.jobs.left import Left, left
from nrbench.jobs.plan import Plan
from nrbench.jobs.store import Store
from nrbench.suite.cell import Training
from nrbench.suite.suite import Benchmark

log = logging.getLogger(__name__)


class Expected(NamedTuple):
    """The time that jobs would take."""

    seconds: float
    made_up: tuple[str, ...]
    """The data sets that are not here: it was measured on black images of the same shapes and numbers."""


def expected_time(benchmark: Benchmark, plan: Plan, store: Store, root: Path, device: torch.device) -> Expected:
    """Return the time that one worker would take for a plan of a suite, from a few real steps and passes on this device.

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

    def sizes(job: Job) -> Mapping[str, int]:
        splits = Data.from_splits(job.training, loaded(job.training.dataset), device).splits
        return {name: len(images) for name, images in splits.items()}

    wanted = {_computed(job.training) for job in plan.jobs}
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
    seconds = 0.0
    for job in plan.jobs:
        record, images, where = store.training(job.training.key).record(), sizes(job), _computed(job.training)
        ahead = left(job, record, images, fresh=plan.fresh)
        seconds += _seconds_of(job, ahead, images["train"], steps[where], judged[where])
    names = (label for label, dataset in benchmark.section("datasets").items() if dataset in absent)
    return Expected(seconds, tuple(dict.fromkeys(names)))


def _seconds_of(job: Job, ahead: Left, train: int, step: float, judged: EvaluationCost) -> float:
    """Return the time of what is left of a job; `step` is the time of one pass of a step."""
    recipe = job.training.recipe
    steps = -(-train // recipe.batch_size) * ahead.epochs * recipe.passes_of(job.training.method)
    slower = judged.noisy.value if judged.noisy else 1.0
    seen = (ahead.clean + ahead.noisy * slower) / judged.images_per_second
    return (steps + ahead.probed / recipe.batch_size) * step + seen


def _computed(training: Training) -> tuple[str, ...]:
    recipe = training.recipe.replace(epochs=0)  # steps of methods with a budget of their own cost alike
    return training.backbone.fingerprint, training.dataset.fingerprint, recipe.fingerprint
