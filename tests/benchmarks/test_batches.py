"""What making batches costs, against torchvision's DataLoader and against the step they feed."""

from __future__ import annotations

from collections.abc import Iterable

from nrbench.jobs.batches import Batches
from nrbench_methods import SGD
from tests.benchmarks import references
from tests.benchmarks.conftest import Bench
from tests.benchmarks.models import BATCH, RECIPE, Stepper, data, images

COUNT = 20 * BATCH


def consume(batches: Iterable[object]) -> None:
    """Make every batch and keep none."""
    for _ in batches:
        pass


def test_batches_against_data_loader(bench: Bench) -> None:
    """Crop, flip and normalise from PIL images in a DataLoader without workers ÷ ours, an epoch of 2,560 images."""
    many = images(COUNT)
    ours = Batches(many, data(many).normalise, RECIPE, 0)
    theirs = references.loader(many.images, many.labels, (0.5,) * 3, (0.25,) * 3)
    times = bench.times(lambda: consume(ours.epoch(1)), lambda: consume(theirs), rounds=5)
    bench.figure("DataLoader's batches ÷ ours", [loader / mine for mine, loader in times], "≥ 15")


def test_batches_against_the_step(bench: Bench) -> None:
    """Making a batch ÷ a step of SGD on it: ResNet-18."""
    many = images(COUNT)
    ours, stepper = Batches(many, data(many).normalise, RECIPE, 0), Stepper()
    times = bench.times(lambda: consume(ours.epoch(1)), stepper.with_method(SGD()), rounds=3)
    bench.figure("batch ÷ SGD step", [mine / (COUNT / BATCH) / step for mine, step in times], "≤ 0.05")
