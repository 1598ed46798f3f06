"""The bench: what a suite's methods and evaluations cost on this machine, as ratios measured in pairs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nrbench.base.chance import Chips
from nrbench.base.component import Frozen
from nrbench.base.errors import NrbenchError
from nrbench.families.executor import Failure
from nrbench.families.method import Method
from nrbench.families.network import Network
from nrbench.families.noise import NoiseModel
from nrbench.jobs.data import Data
from nrbench.jobs.device import computing
from nrbench.jobs.job import evaluation_network
from nrbench.jobs.processes import Processes
from nrbench.jobs.train import train
from nrbench.suite.cell import Training
from nrbench.suite.suite import Benchmark, Suite, TrainingLabels

log = logging.getLogger(__name__)
STEPS = 2
"""Training steps that are timed together."""
FEWEST, MOST = 6, 200
"""Pairs behind a ratio."""
SECONDS = 12.0
"""Time for the pairs of a ratio, once there are the fewest."""
PRECISE = 0.03
"""A ratio that is known no better than this, of itself, could not be measured."""
PASS = 500
"""Images of a timed evaluation, where the test set has as many."""


class Ratio(Frozen):
    """A ratio of two times: the median over pairs that were measured one right after the other."""

    value: float
    spread: float
    """Half of the 95 % interval of the median."""
    pairs: int

    @property
    def precise(self) -> bool:
        """Whether measuring it again can be expected to give the same within 3 %."""
        return self.spread <= PRECISE * self.value

    def __str__(self) -> str:
        return f"{self.value:.2f} ±{self.spread:.2f}" + ("" if self.precise else " (could not be measured better)")


class StepCost(Frozen):
    """What a training step of a method costs."""

    method: str
    milliseconds: float
    """Median of its timings."""
    relative: Ratio
    """Divided by a step of the baseline."""
    passes: float
    """Forward-backward passes of a step."""
    images_per_second: float


class EvaluationCost(Frozen):
    """What judging a network costs."""

    images_per_second: float
    """Without noise."""
    noisy: Ratio | None
    """A pass of the test set on a noisy copy, the noise included, divided by a pass without; None without random noise."""
    of_peak: Ratio
    """Floating-point operations a second of the pass without noise, divided by those of a matrix product."""


class Bench(Frozen):
    """What a backbone costs on a data set."""

    backbone: str
    dataset: str
    baseline: str
    precision: str
    steps: tuple[StepCost, ...]
    evaluation: EvaluationCost


def benched(benchmark: Benchmark, root: Path, device: torch.device, *, seconds: float = SECONDS) -> list[Bench]:
    """Return what every backbone of a suite costs on every data set, measured in a worker, which computes as a run does."""
    works = [
        (part, dataset, backbone)
        for part in benchmark.parts
        for dataset, backbone in product(part.datasets, part.backbones)
    ]
    found = []
    for outcome in Processes(jobs=1).map(partial(bench, root=root, device=str(device), seconds=seconds), works):
        if isinstance(outcome.result, Failure):
            raise outcome.result.refusal or NrbenchError(
                f"{outcome.item[2]} cannot be measured: {outcome.result.message}"
            )
        found.append(outcome.result)
    return found


def bench(work: tuple[Suite, str, str], *, root: Path, device: str, seconds: float = SECONDS) -> Bench:
    """Return what a backbone costs on a data set, given by their labels in a suite."""
    suite, dataset, backbone = work
    training = suite.own_trainings[TrainingLabels(suite.baseline, backbone, dataset, 0)]
    data = Data.of(training, root, torch.device(device))
    with computing(training.recipe, data.device):
        return Bench(
            backbone=backbone,
            dataset=dataset,
            baseline=suite.baseline,
            precision=training.recipe.precision,
            steps=tuple(step_costs(suite.methods, training, data, seconds=seconds)),
            evaluation=evaluation_cost(suite.noise.values(), training, data, seconds=seconds),
        )


def in_pairs(
    work: Callable[[], object],
    other: Callable[[], object],
    device: torch.device,
    *,
    seconds: float = SECONDS,
    fewest: int = FEWEST,
) -> list[tuple[float, float]]:
    """Return the seconds that two works took in pairs, each measured right after the other, in turns first and second.

    So whatever else runs on the machine slows both down. The first pair is not counted. On a CPU the clock is that of this
    process alone, all its threads together: with both cores taken by others, ratios of wall times vary by 8 to 19 %, and
    these by 1 to 4.
    """
    pairs: list[tuple[float, float]] = []
    now, start = clock(device), time.perf_counter()

    def taken(timed: Callable[[], object]) -> float:
        before = now()
        timed()  # ends with a number of the host's own, so it waits for the device
        return now() - before

    while len(pairs) <= fewest or (len(pairs) < MOST and time.perf_counter() - start < seconds):
        if len(pairs) % 2:
            second, first = taken(other), taken(work)
        else:
            first, second = taken(work), taken(other)
        pairs.append((first, second))
        if len(pairs) > 2 * fewest and ratio(pairs[1:]).spread < PRECISE / 3 * ratio(pairs[1:]).value:
            break
    return pairs[1:]


def clock(device: torch.device) -> Callable[[], float]:
    """Return what tells the time that a work on a device takes, in seconds."""
    return time.process_time if device.type == "cpu" else time.perf_counter


def ratio(pairs: Sequence[tuple[float, float]], *, times: float = 1.0) -> Ratio:
    """Return the median ratio of pairs, and half of its 95 % interval by order statistics (the whole range for few)."""
    ratios = sorted(times * first / second for first, second in pairs)
    count = len(ratios)
    reach = round(0.98 * count**0.5)  # 1.96 standard deviations of Binomial(n, 1/2)
    low, high = max(0, (count - 1) // 2 - reach), min(count - 1, count // 2 + reach)
    return Ratio(value=median(ratios), spread=(ratios[high] - ratios[low]) / 2, pairs=count)


def step_costs(methods: Mapping[str, Method], baseline: Training, data: Data, *, seconds: float) -> Iterator[StepCost]:
    """Yield the cost of a step of every method beside one of the baseline, as `train` makes it."""
    recipe = baseline.recipe.replace(epochs=10 * MOST)
    few = data.first(STEPS * recipe.batch_size)
    steps = -(-len(few.train) // recipe.batch_size)
    for label, method in ((label, method) for label, method in methods.items() if method.trains):
        own, other = (replace(baseline, method=each, recipe=recipe) for each in (method, baseline.method))
        first, second = (partial(next, train(each, few)) for each in (own, other))
        pairs = in_pairs(first, second, data.device, seconds=seconds)
        step = _wall(first) / steps
        yield StepCost(
            method=label,
            milliseconds=1000 * step,
            relative=ratio(pairs),
            passes=first().passes_per_step,
            images_per_second=len(few.train) / steps / step,
        )


def evaluation_cost(noises: Iterable[NoiseModel], training: Training, data: Data, *, seconds: float) -> EvaluationCost:
    """Return the cost of judging the network of a training under the first noise model that is random."""
    images, network = data.first(PASS).splits["test"], evaluation_network(training, data)
    clean, size = partial(network.counts, images), 2048 if data.device.type == "cpu" else 8192
    peak = partial(_matrix_product, size, training.recipe.precision == "bfloat16", data.device)
    pairs = in_pairs(peak, clean, data.device, seconds=seconds)
    work = _operations(network.model, images.images[:1].float()) * len(images) / (2 * size**3)
    noise = next((model for model in noises if model.random), None)
    return EvaluationCost(
        images_per_second=len(images) / _wall(clean),
        noisy=None if noise is None else _noisy(network, noise, training, data, seconds=seconds),
        of_peak=ratio(pairs, times=work),
    )


def _noisy(network: Network, noise: NoiseModel, training: Training, data: Data, *, seconds: float) -> Ratio:
    """Return the time of a pass over all test images on a noisy copy, divided by one without noise.

    Fewer images are timed; the numbers of a chip are drawn once a pass, however many images it has.
    """
    images = data.first(PASS).splits["test"]
    chips = Chips(training.backbone.fingerprint, training.seed, data.device)
    drawn: list[float] = []
    now = clock(data.device)

    def noisy() -> None:
        start = now()
        copy = network.under(noise, chips.chip("bench", len(drawn)))
        drawn.append(now() - start)
        copy.counts(images)

    pairs = in_pairs(noisy, partial(network.counts, images), data.device, seconds=seconds)
    share = len(images) / len(data.splits["test"])
    return ratio([(first - own + own * share, second) for (first, second), own in zip(pairs, drawn[1:], strict=True)])


def _wall(work: Callable[[], object]) -> float:
    """Return the seconds by the clock on the wall that a work takes, the median of a few."""
    taken = []
    for _ in range(FEWEST):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


def _matrix_product(size: int, bfloat16: bool, device: torch.device) -> None:
    matrix = torch.ones(size, size, device=device, dtype=torch.bfloat16 if bfloat16 else torch.float32)
    (matrix @ matrix)[0, 0].item()


def _operations(model: nn.Module, image: torch.Tensor) -> int:
    """Return the floating-point operations of a forward pass over one image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    return int(counter.get_total_flops())
