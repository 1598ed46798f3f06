"""The time that a plan would take, from a few real steps and passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nrbench import Dataset, Store, load_registry, load_suite, plan
from nrbench.families.dataset import made_up
from nrbench.jobs import bench, expected
from nrbench.jobs.expected import expected_time
from nrbench_datasets import CIFAR10, CIFAR100, MNIST, SVHN, FashionMNIST
from tests.conftest import TINY, Finished

CPU = torch.device("cpu")
Write = Callable[..., Path]
Command = Callable[..., Finished]


def test_a_plan_is_measured(write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a step of 10 ms and 1,000 images a second, half as many under noise, the time of a plan is that worked out by hand."""
    half, one = bench.Ratio(value=2.0, spread=0.0, pairs=1), bench.Ratio(value=1.0, spread=0.0, pairs=1)
    step = bench.StepCost(method="SGD", milliseconds=10, relative=one, passes=1, images_per_second=3200)
    judged = bench.EvaluationCost(images_per_second=1000, noisy=half, of_peak=one)
    monkeypatch.setattr(expected, "step_costs", lambda *arguments, **options: iter([step]))
    monkeypatch.setattr(expected, "evaluation_cost", lambda *arguments, **options: judged)
    suite = load_suite(write_suite(), load_registry(), settings=["methods.SAM={name: sam}"])
    store = Store(tmp_path)
    assert expected_time(suite, plan([], store), store, tmp_path, CPU).seconds == 0
    found = expected_time(suite, plan(suite.cells(), store), store, tmp_path, CPU).seconds
    steps = 2 * (1 + 1 + 2) * 3 * 4 * 0.01  # 2 seeds of SGD, RWP and SAM: 3 epochs of 4 steps
    chosen = 3 * 12 / 1000 * (1 + 2 + 2)  # each epoch, on the 12 images held out of 128: clean and two noises
    reported = 2 * 64 / 1000 * (1 + 3 * 2 + 3 * 2)  # two selections: one clean pass over 64, three draws of two noises
    assert found == pytest.approx(steps + 6 * (chosen + reported))


def test_a_plan_is_measured_without_the_images(
    nrbench: Command, write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a published data set is absent, time is measured on black images of its shape and number, which is said."""
    text = TINY.replace("synthetic: {name: synthetic, train_size: 128, test_size: 64}", "numbers: {name: mnist}")
    path = write_suite(text.replace("epochs: 3, batch_size: 32", "epochs: 3, batch_size: 500"))
    monkeypatch.setattr(bench, "MOST", 1)
    monkeypatch.setattr(bench, "FEWEST", 1)
    done = nrbench("plan", path, "--measure", "--json", "--data-dir", tmp_path / "nothing")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["made_up"] == ["numbers"]
    assert found["seconds"] > 0
    assert (
        "measured on made-up images for" in nrbench("plan", path, "--measure", "--data-dir", tmp_path / "nothing").out
    )
    unknown = write_suite(text.replace("{name: mnist}", "{name: npz, file: mine.npz}"), "unknown.yaml")
    assert nrbench("plan", unknown, "--measure", "--data-dir", tmp_path / "nothing").code in (2, 3)


def test_a_budget_of_passes_is_measured(write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods that train for fewer epochs cost as many steps less: SAM of half the epochs at twice the passes is SGD."""
    one = bench.Ratio(value=1.0, spread=0.0, pairs=1)
    step = bench.StepCost(method="SGD", milliseconds=10, relative=one, passes=1, images_per_second=3200)
    monkeypatch.setattr(expected, "step_costs", lambda *arguments, **options: iter([step]))
    judged = bench.EvaluationCost(images_per_second=1e12, noisy=one, of_peak=one)
    monkeypatch.setattr(expected, "evaluation_cost", lambda *arguments, **options: judged)
    settings = ["methods={SGD: {name: sgd}, SAM: {name: sam}}", "recipe.budget=passes", "recipe.epochs=4"]
    suite, store = load_suite(write_suite(), load_registry(), settings=settings), Store(tmp_path)
    found = expected_time(suite, plan(suite.cells(), store), store, tmp_path, CPU).seconds
    assert found == pytest.approx(
        2 * (4 * 4 * 1 + 4 * 4 * 1 + 2 * 4 * 2) * 0.01
    )  # 2 seeds of SGD, RWP and SAM: epochs × steps × passes


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, CIFAR10, CIFAR100, SVHN])
def test_made_up_images_are_as_many_as_the_published(kind: type[Dataset]) -> None:
    """The numbers that a data set says it has are those that torchvision documents for it."""
    known = {MNIST: (60_000, 10_000), FashionMNIST: (60_000, 10_000), SVHN: (73_257, 26_032)}
    splits = made_up(kind())
    assert (len(splits.train), len(splits.test)) == known.get(kind, (50_000, 10_000))
    assert (splits.num_classes, splits.input_shape) == kind.shape
    splits.check()
