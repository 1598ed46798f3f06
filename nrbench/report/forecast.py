"""The forecast: what is left of a suite, in trainings, passes, seconds and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import torch

from nrbench.base.component import Frozen
from nrbench.base.errors import DataError
from nrbench.base.statistics import quantile, t_quantile
from nrbench.families.analog import Layout, inventory
from nrbench.families.backbone import Backbone
from nrbench.families.dataset import Dataset, load_splits
from nrbench.families.loading import stored_tensors
from nrbench.families.sheet import shown_bytes, shown_seconds
from nrbench.jobs.job import Job
from nrbench.jobs.left import Left, epochs_left, left
from nrbench.jobs.plan import Plan
from nrbench.jobs.store import Store
from nrbench.report.cost import costs
from nrbench.suite.cell import Training
from nrbench.suite.seeds import GrowingSeeds
from nrbench.suite.suite import Benchmark


class Forecast(Frozen):
    """What a run would do; the numbers are of what is not stored yet."""

    seeds: str
    """How many there are or, where they grow, may become: the other numbers are for the most."""
    trainings: int
    """To be made; one of which probes alone are missing is measured and not made again."""
    cells: int
    """Cells to compute."""
    cached_cells: int
    """Cells that have a result."""
    failed_cells: int
    """Cells whose stored failure stands unless failures are retried."""
    shared_trainings: int
    """Trainings that a collection's suites ask for again; they are made once."""
    shared_cells: int
    """Cells that a collection's suites ask for again."""
    passes: float
    """Epochs of training times the passes of each step: forward-backward passes over the training set, SGD's being 1."""
    probe_passes: float | None
    """What probes cost beside that, in the same unit; None where it is not known how many images there are."""
    noisy_passes: int
    """Forward passes over the test set for the report draws."""
    seconds: float | None
    """Time on one worker: the passes of training, probes and judging at the pace of this suite's trainings here before, None
    when there was none of a row; where a plan measures, from a few real steps."""
    made_up: tuple[str, ...] = ()
    """The data sets that are not here, where time was measured on black images of the same shapes and numbers."""
    epochs: dict[str, int]
    """How many epochs each method trains, where the budget is of passes; nothing where all train the same."""
    disk_bytes: int | None
    """Room for the weights that stay stored; None when a data set is not there."""
    resolution: float | None
    """Standard errors a paired difference must span to be told from zero at 95 % with so many seeds; None for one."""

    inventory: dict[str, dict[str, tuple[int, int]]]
    """Tensors and weights of each network, by the kind of layer that stores them; those of no layer are digital."""
    gap: float | None
    """Percentage points between two methods that so many seeds and draws resolve on average, at the median uncertainty
    between seeds that the reference printed; None without a reference."""

    def described(self) -> Iterator[tuple[str, str]]:
        """Yield every number with its name, for people."""
        yield "seeds", self.seeds
        yield "trainings", f"{self.trainings}"
        yield "cells to compute", f"{self.cells}"
        yield "cells stored", f"{self.cached_cells}"
        if self.failed_cells:
            yield "cells that failed before", f"{self.failed_cells}"
        if self.shared_trainings:
            yield "shared by several suites", f"{self.shared_trainings} trainings, {self.shared_cells} cells"
        if self.epochs:
            by_number: dict[int, list[str]] = {}
            for method, number in self.epochs.items():
                by_number.setdefault(number, []).append(method)
            yield "epochs at equal passes", "; ".join(f"{n}: {_some(who)}" for n, who in by_number.items())
        yield "epochs of forward-backward passes", f"{self.passes:,.0f}"
        if self.probe_passes != 0:
            beside = "unknown" if self.probe_passes is None else f"{self.probe_passes:,.1f}"
            yield "as much again for probes", beside
        yield "noisy passes over the test sets", f"{self.noisy_passes:,}"
        yield (
            "time on one worker",
            "unknown until something was trained, or --measure"
            if self.seconds is None
            else shown_seconds(self.seconds),
        )
        if self.made_up:
            yield "measured on made-up images for", ", ".join(self.made_up)
        yield (
            "disk, for the weights of as many epochs as recipe.keep_epochs allows",
            "unknown" if self.disk_bytes is None else shown_bytes(self.disk_bytes),
        )
        for network, kinds in self.inventory.items():
            stored = {kind: numbers for kind, numbers in kinds.items() if kind != "digital"}
            tensors, weights = kinds.get("digital", (0, 0))
            each = ", ".join(f"{count} {kind}" for kind, (count, _) in stored.items())
            total = sum(numbers for _, numbers in stored.values())
            yield f"on the device, {network}", f"{total:,} weights ({each}); digital {weights:,} in {tensors} tensors"
        if self.resolution is not None:
            points = "" if self.gap is None else f": {self.gap:.2f} points at the reference's median uncertainty"
            yield "a difference is resolved beyond", f"{self.resolution:.2f} standard errors over seeds{points}"


def forecast(benchmark: Benchmark, plan: Plan, store: Store, data: Path) -> Forecast:
    """Return what is left to do for a plan; nothing is trained, and no memory is taken for weights."""
    labels, networks = benchmark.trainings(), _networks(benchmark, data)
    spent = {(cost.method, cost.backbone, cost.dataset): cost.epoch_seconds for cost in costs(benchmark, store)}
    ahead = list(_ahead(plan, store, data))
    shared_trainings, shared_cells = _shared(benchmark) if len(benchmark.parts) > 1 else (0, 0)
    seeds = benchmark.parts[0].seed_count
    return Forecast(
        seeds=_seeds(benchmark),
        trainings=sum(each.epochs > 0 for each in ahead),
        cells=plan.missing,
        cached_cells=len(plan.cells) - plan.missing - len(plan.failed),
        failed_cells=len(plan.failed),
        shared_trainings=shared_trainings,
        shared_cells=shared_cells,
        passes=sum(each.epochs * each.job.training.recipe.passes_of(each.job.training.method) for each in ahead),
        probe_passes=_probed(ahead),
        noisy_passes=sum(cell.draws for job in plan.jobs for cell in job.cells if cell.noise.random),
        seconds=_seconds(ahead, lambda training: spent.get(labels[training.key][:3])),
        epochs=_epochs_by_method(benchmark),
        disk_bytes=None if networks is None else _disk([each.job for each in ahead if each.epochs], networks),
        inventory={label: networks[pair].inventory for label, pair in _pairs(benchmark).items()} if networks else {},
        resolution=t_quantile(seeds) if seeds > 1 else None,
        gap=_gap(benchmark, seeds),
    )


class _Ahead(NamedTuple):
    """A job, and what is left of it."""

    job: Job
    epochs: int
    left: Left | None
    """None where the data set is not there."""
    images: int
    """Of a pass over the training images."""


def _ahead(plan: Plan, store: Store, data: Path) -> Iterator[_Ahead]:
    sizes: dict[tuple[Dataset, float], dict[str, int] | None] = {}
    for job in plan.jobs:
        which = job.training.dataset, job.training.recipe.held_out
        if which not in sizes:
            sizes[which] = _sizes(*which, data)
        record, known = store.training(job.training.key).record(), sizes[which]
        rest = None if known is None else left(job, record, known, fresh=plan.fresh)
        yield _Ahead(job, epochs_left(job, record, fresh=plan.fresh), rest, known["train"] if known else 0)


def _probed(ahead: Sequence[_Ahead]) -> float | None:
    """Return what probes cost, in epochs of forward-backward passes."""
    asked = [each for each in ahead if each.job.probes]
    known = [each.left.probed / each.images for each in asked if each.left is not None]
    return sum(known) if len(known) == len(asked) else None


def _seconds(ahead: Sequence[_Ahead], pace: Callable[[Training], float | None]) -> float | None:
    """Return the time of everything that is left, given that of an epoch of each training's row."""
    total = 0.0
    for each in ahead:
        training = each.job.training
        passes = training.recipe.passes_of(training.method) if training.epochs else 0.0
        if passes:
            epoch = pace(training)
            if epoch is None or each.left is None:
                return None
            total += each.left.passes / each.images * epoch / passes
    return total


def _sizes(dataset: Dataset, held_out: float, data: Path) -> dict[str, int] | None:
    """Return the number of images of each split; None where the data set is not there."""
    if dataset.sizes is not None and not dataset.may_validate:
        train, test = dataset.sizes
        kept = train - round(held_out * train)
        return {"train": kept, "validation": train - kept, "test": test}
    try:
        splits = load_splits(dataset, data)
    except DataError:
        return None
    kept_images, validation = splits.held_out(held_out, dataset.fingerprint)
    return {"train": len(kept_images), "validation": len(validation), "test": len(splits.test)}


def _epochs_by_method(benchmark: Benchmark) -> dict[str, int]:
    """Return the epochs of each method of the suites with a budget of passes; where several have one, with their names."""
    budgeted = [part for part in benchmark.parts if part.recipe.budget == "passes"]
    return {
        labels.method if len(budgeted) == 1 else f"{labels.method} in {part.name}": training.epochs
        for part in budgeted
        for labels, training in part.own_trainings.items()
    }


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) < 5 else f"{', '.join(labels[:3])} and {len(labels) - 3} more"


def _seeds(benchmark: Benchmark) -> str:
    seeds = benchmark.parts[0].seeds
    if isinstance(seeds, GrowingSeeds):
        return f"{seeds.first} to {seeds.last}, until resolved; below for {seeds.last}"
    return str(seeds)


def _shared(benchmark: Benchmark) -> tuple[int, int]:
    """Return how many trainings and cells its suites ask for again."""
    trainings = sum(len(suite.trainings()) for suite in benchmark.parts) - len(benchmark.trainings())
    cells = sum(1 for suite in benchmark.parts for _ in suite.cells()) - sum(1 for _ in benchmark.cells())
    return trainings, cells


def _gap(benchmark: Benchmark, seeds: int) -> float | None:
    """Return the half width of the t interval of a difference whose sides spread as the median of the reference does."""
    references = [each.reference for each in (benchmark, *benchmark.parts) if each.reference is not None]
    tables = references[0].tables.values() if references else ()
    spreads = [row.weight_std for rows in tables for row in rows if row.weight_std is not None]
    if not spreads or seeds < 2:
        return None
    return t_quantile(seeds) * sqrt(2 / seeds) * quantile(spreads, 0.5)


def _pairs(benchmark: Benchmark) -> dict[str, tuple[Backbone, Dataset]]:
    """Return the pairs of backbone and data set by their labels, without the data set's where there is only one."""
    found = {}
    for part in benchmark.parts:
        for (network, backbone), (images, dataset) in product(part.backbones.items(), part.datasets.items()):
            found[network if len(part.datasets) == 1 else f"{network} on {images}"] = (backbone, dataset)
    return found


def _loaded_shape(dataset: Dataset, data: Path) -> tuple[int, tuple[int, int, int]]:
    splits = load_splits(dataset, data)
    return splits.num_classes, splits.input_shape


class _Network(NamedTuple):
    """What is known of a network without training it."""

    size: int
    """Bytes of its parameters and buffers."""
    inventory: dict[str, tuple[int, int]]


def _networks(benchmark: Benchmark, data: Path) -> dict[tuple[Backbone, Dataset], _Network] | None:
    """Return every pair of backbone and data set; None where one cannot be built: a run says why, a plan what it can."""
    found: dict[tuple[Backbone, Dataset], _Network] = {}
    try:
        for part in benchmark.parts:
            for backbone, dataset in product(part.backbones.values(), part.datasets.values()):
                if (backbone, dataset) not in found:
                    found[backbone, dataset] = _network(backbone, *(dataset.shape or _loaded_shape(dataset, data)))
    except Exception:
        return None
    return found


def _network(backbone: Backbone, classes: int, shape: tuple[int, int, int]) -> _Network:
    with torch.device("meta"):
        model = backbone.build(num_classes=classes, input_shape=shape)
    weights = Layout.of(model, backbone.stored(model)).weights_of(model)
    return _Network(sum(tensor.nbytes for tensor in stored_tensors(model).values()), inventory(weights))


def _disk(jobs: Sequence[Job], networks: dict[tuple[Backbone, Dataset], _Network]) -> int:
    total = 0
    for job in jobs:
        training = job.training
        size = networks[training.backbone, training.dataset].size
        all_epochs = training.epochs * size
        kept = all_epochs if all_epochs <= training.recipe.keep_epochs else size * (len(job.cells) + 1)
        total += kept + 2 * size  # a checkpoint also holds the momentum
    return total
