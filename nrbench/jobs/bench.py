"""The bench: what a suite's methods and evaluations cost on this machine, in ratios taken inside one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nrbench.base.component import Frozen
from nrbench.families.dataset import Images, load_splits
from nrbench.families.displacement import NONE
from nrbench.families.noise import NoiseModel
from nrbench.jobs.batches import Normalisation
from nrbench.jobs.device import computing
from nrbench.jobs.job import Job
from nrbench.jobs.network import Judge
from nrbench.jobs.train import initial_model, train
from nrbench.suite.cell import Training
from nrbench.suite.suite import Benchmark, Suite

STEPS = 4
"""Training steps that are timed together."""
ROUNDS = 5
"""Medians are of so many timings, after one that is not counted."""
PASS = 500
"""Images of a timed evaluation, where the test set has as many."""


class StepCost(Frozen):
    """What a training step of a method costs; medians of interleaved timings."""

    method: str
    backbone: str
    dataset: str
    milliseconds: float
    relative: float
    """Divided by a step of the baseline."""
    passes: float
    """Forward-backward passes of a step."""
    images_per_second: float


class EvaluationCost(Frozen):
    """What judging a network costs; medians of interleaved timings."""

    backbone: str
    dataset: str
    images_per_second: float
    """Without noise."""
    noisy: float | None
    """A pass on a noisy copy, the noise included, divided by a pass without; None when no noise model is random."""
    of_peak: float
    """Floating-point operations a second of the pass without noise, divided by those of a matrix product."""


def expected_seconds(benchmark: Benchmark, jobs: Sequence[Job], data: Path, device: torch.device) -> float:
    """Return the time that one worker would take for jobs of a suite, from a few real steps and passes on this device.

    On every backbone and data set steps of the baseline are timed, and a method's planned passes taken for its cost.
    """
    wanted = {_place(job.training): job.training for job in jobs}
    steps: dict[tuple[str, ...], float] = {}
    judged: dict[tuple[str, ...], EvaluationCost] = {}
    for suite in benchmark.parts:
        for dataset, backbone in product(suite.datasets, suite.backbones):
            place = _place(suite.training(dataset, backbone, suite.baseline, 0))
            if place not in wanted or place in steps:
                continue
            one = suite.replace(
                datasets={dataset: suite.datasets[dataset]},
                backbones={backbone: suite.backbones[backbone]},
                methods={suite.baseline: suite.methods[suite.baseline]},
                tables=(),
                claims={},
            )
            (step,), (judged[place],) = step_costs(one, data, device, rounds=1), evaluation_costs(one, data, device)
            steps[place] = step.milliseconds / 1000 / step.passes
    total = 0.0
    for job in jobs:
        training, recipe = job.training, job.training.recipe
        splits, place = load_splits(training.dataset, data), _place(training)
        sizes = {"validation": recipe.held_out * len(splits.train), "test": float(len(splits.test))}
        number = -(-(len(splits.train) - sizes["validation"]) // recipe.batch_size) * training.epochs
        total += number * training.method.planned_passes() * steps[place]
        scorings = {scoring for cell in job.cells if (scoring := cell.selection.scoring(cell.noise)) is not None}
        passes = [(scoring.noise, training.epochs * sizes[scoring.on]) for scoring in scorings]
        passes += [(cell.noise, cell.draws * sizes["test"]) for cell in job.cells]
        for noise, images in passes:
            slower = judged[place].noisy or 1.0 if noise.random else 1.0
            total += images / judged[place].images_per_second * slower
    return total


def _place(training: Training) -> tuple[str, ...]:
    return training.backbone.fingerprint, training.dataset.fingerprint, training.recipe.fingerprint


def step_costs(suite: Suite, data: Path, device: torch.device, *, rounds: int = ROUNDS) -> Iterator[StepCost]:
    """Yield the cost of a step of every method on every backbone and data set, as `train` makes it."""
    for (dataset, source), (backbone, network) in product(suite.datasets.items(), suite.backbones.items()):
        splits = load_splits(source, data)
        recipe = suite.recipe.replace(epochs=rounds + 1)
        images = splits.train[: STEPS * recipe.batch_size].to(device)
        steps = -(-len(images) // recipe.batch_size)
        normalise = Normalisation.of(splits, recipe, device)
        seconds: dict[str, list[float]] = {method: [] for method in suite.methods}
        passes = {}
        with computing(recipe, device):
            trainings = {
                label: train(
                    Training(source, network, method, recipe, 0),
                    images,
                    normalise,
                    num_classes=splits.num_classes,
                    device=device,
                )
                for label, method in suite.methods.items()
            }
            for _ in range(recipe.epochs):
                for label, training in trainings.items():
                    start = time.perf_counter()
                    passes[label] = next(training).passes_per_step
                    seconds[label].append((time.perf_counter() - start) / steps)
        times = {label: median(found[1:]) for label, found in seconds.items()}
        for label, found in times.items():
            yield StepCost(
                method=label,
                backbone=backbone,
                dataset=dataset,
                milliseconds=1000 * found,
                relative=median(a / b for a, b in zip(seconds[label][1:], seconds[suite.baseline][1:], strict=True)),
                passes=passes[label],
                images_per_second=len(images) / steps / found,
            )


def evaluation_costs(suite: Suite, data: Path, device: torch.device) -> Iterator[EvaluationCost]:
    """Yield the cost of judging every backbone on every data set."""
    recipe, method = suite.recipe, next(iter(suite.methods.values()))
    noise = next((model for model in suite.noise.values() if model.random), None)
    for (dataset, source), (backbone, network) in product(suite.datasets.items(), suite.backbones.items()):
        splits = load_splits(source, data)
        images = splits.test[:PASS].to(device)
        training = Training(source, network, method, recipe, 0)
        with computing(recipe, device):
            model = initial_model(training, splits.num_classes, images.images.shape, device)
            judge = Judge(model, training, Normalisation.of(splits, recipe, device), device)
            clean, noisy, peak = _interleaved(judge, noise, images)
        rate = len(images) / median(clean)
        yield EvaluationCost(
            backbone=backbone,
            dataset=dataset,
            images_per_second=rate,
            noisy=median(a / b for a, b in zip(noisy, clean, strict=True)) if noisy else None,
            of_peak=rate * _operations(model, images.images[:1].float()) / median(peak),
        )


def _interleaved(
    judge: Judge, noise: NoiseModel | None, images: Images
) -> tuple[list[float], list[float], list[float]]:
    """Return seconds of passes without and with noise, and operations a second of matrix products, taken in turn."""
    clean, noisy, peak = [], [], []
    for chip in judge.chips("bench", ROUNDS + 1):
        clean.append(_seconds(lambda: judge.count(NONE, images)))
        peak.append(_matrix_product(judge.training.recipe.precision == "bfloat16", judge.device))
        if noise is not None:
            noisy.append(_seconds(partial(judge.count_noisy, noise, chip, images)))
    return clean[1:], noisy[1:], peak[1:]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()  # counts right answers, so it waits for the device
    return time.perf_counter() - start


def _matrix_product(bfloat16: bool, device: torch.device) -> float:
    """Return the operations a second of a large matrix product."""
    size = 2048 if device.type == "cpu" else 8192
    matrix = torch.ones(size, size, device=device, dtype=torch.bfloat16 if bfloat16 else torch.float32)
    return 2 * size**3 / _seconds(lambda: (matrix @ matrix)[0, 0].item())


def _operations(model: nn.Module, image: torch.Tensor) -> int:
    """Return the floating-point operations of a forward pass over one image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    return int(counter.get_total_flops())
