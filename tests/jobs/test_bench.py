from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nrbench import Dataset, Store, Suite, load_registry, load_suite, plan
from nrbench.families.dataset import made_up
from nrbench.jobs import bench
from nrbench.jobs.bench import expected_time
from nrbench_backbones import MLP
from nrbench_datasets import CIFAR10, CIFAR100, MNIST, SVHN, FashionMNIST
from tests.conftest import TINY, Finished

CPU = torch.device("cpu")
MORE = ["methods.SAM={name: sam}", "report.baseline=RWP"]
Write = Callable[..., Path]
Command = Callable[..., Finished]


def test_steps_and_evaluations_are_timed(write_suite: Write, tmp_path: Path) -> None:
    """Each method makes the passes that it plans; its ratio is to the baseline; noise is judged where it is random."""
    suite = load_suite(write_suite(), load_registry(), settings=MORE)
    assert isinstance(suite, Suite)
    found = bench.bench((suite, "synthetic", "MLP"), root=tmp_path, device="cpu", seconds=0.0)
    assert (found.backbone, found.dataset, found.baseline) == ("MLP", "synthetic", "RWP")
    assert {cost.method: cost.passes for cost in found.steps} == {"SGD": 1, "RWP": 1, "SAM": 2}
    assert {label: method.planned_passes() for label, method in suite.methods.items()} == {"SGD": 1, "RWP": 1, "SAM": 2}
    for cost in found.steps:  # 32 images in a step
        assert cost.images_per_second * cost.milliseconds == pytest.approx(32_000)
        assert cost.relative.pairs >= bench.FEWEST
    assert found.evaluation.noisy is not None
    clean = suite.replace(noise={"clean": suite.noise["clean"]})
    assert bench.bench((clean, "synthetic", "MLP"), root=tmp_path, device="cpu", seconds=0.0).evaluation.noisy is None


def test_pairs_are_measured_in_turns_and_the_first_is_left_out() -> None:
    """Each pair is one of both, first and second in turns, so that whatever slows the machine slows both."""
    order: list[str] = []
    pairs = bench.in_pairs(lambda: order.append("work"), lambda: order.append("other"), seconds=0.0)
    assert order[:6] == ["work", "other", "other", "work", "work", "other"]
    assert len(order) == 2 * (len(pairs) + 1)
    assert len(pairs) == bench.FEWEST


def test_a_ratio_is_the_median_with_the_interval_of_order_statistics() -> None:
    """Of ratios 1 … 99 it is 50, between the 40th and the 60th; another load on both sides changes nothing."""
    pairs = [(number * load, load) for number, load in zip(range(1, 100), [0.5, 1.0, 3.0] * 33, strict=True)]
    found = bench.ratio(pairs)
    assert (found.value, found.spread, found.pairs) == (50, 10, 99)
    assert not found.precise
    assert "could not be measured better" in str(found)
    steady = bench.ratio([(2.0, 1.0)] * 10)
    assert (str(steady), steady.precise) == ("2.00 ±0.00", True)
    assert bench.ratio(pairs, times=2.0).value == 100


def test_bench_on_the_command_line(nrbench: Callable[..., Finished], write_suite: Write, monkeypatch: Any) -> None:
    """A table for each network, or JSON with the same numbers' names, measured in a worker; nothing is stored."""
    path = write_suite()
    done = nrbench("bench", path, "--seconds", 0)
    assert done.code == 0
    assert "÷ SGD" in done.out
    (numbers,) = json.loads(nrbench("bench", path, "--seconds", 0, "--json").out)
    assert [cost["method"] for cost in numbers["steps"]] == ["SGD", "RWP"]
    assert {path.name for path in path.parent.iterdir()} == {"suite.yaml"}


def test_a_network_that_cannot_be_measured_is_named(nrbench: Callable[..., Finished], write_suite: Write) -> None:
    """What is raised in the worker is an error of the command, and no traceback."""
    small = TINY.replace("test_size: 64", "test_size: 64, size: 4").replace(
        "{name: mlp, hidden: [16]}", "{name: resnet, depth: 9}"
    )
    done = nrbench("bench", write_suite(small))
    assert (done.code, done.out) == (1, "")
    assert "MLP cannot be measured" in done.err


def test_a_plan_is_measured(write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a step of 10 ms and 1,000 images a second, half as many under noise, the time of a plan is that worked out by hand."""
    half, one = bench.Ratio(value=2.0, spread=0.0, pairs=1), bench.Ratio(value=1.0, spread=0.0, pairs=1)
    step = bench.StepCost(method="SGD", milliseconds=10, relative=one, passes=1, images_per_second=3200)
    judged = bench.EvaluationCost(images_per_second=1000, noisy=half, of_peak=one)
    monkeypatch.setattr(bench, "step_costs", lambda *arguments, **options: iter([step]))
    monkeypatch.setattr(bench, "evaluation_cost", lambda *arguments, **options: judged)
    suite = load_suite(write_suite(), load_registry(), settings=["methods.SAM={name: sam}"])
    assert expected_time(suite, [], tmp_path, CPU).seconds == 0
    found = expected_time(suite, plan(suite.cells(), Store(tmp_path)).jobs, tmp_path, CPU).seconds
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


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, CIFAR10, CIFAR100, SVHN])
def test_made_up_images_are_as_many_as_the_published(kind: type[Dataset]) -> None:
    """The numbers that a data set says it has are those that torchvision documents for it."""
    known = {MNIST: (60_000, 10_000), FashionMNIST: (60_000, 10_000), SVHN: (73_257, 26_032)}
    splits = made_up(kind())
    assert (len(splits.train), len(splits.test)) == known.get(kind, (50_000, 10_000))
    assert (splits.num_classes, splits.input_shape) == kind.shape
    splits.check()


def test_the_operations_of_a_pass_by_hand() -> None:
    """A network of 64, 16 and 4 units takes 2 · (64 · 16 + 16 · 4) floating-point operations an image."""
    model = MLP(hidden=(16,)).build(num_classes=4, input_shape=(1, 8, 8))
    assert bench._operations(model, torch.zeros(1, 1, 8, 8)) == 2 * (64 * 16 + 16 * 4)


def test_plan_measures_on_the_command_line(nrbench: Callable[..., Finished], write_suite: Callable[..., Path]) -> None:
    """A plan knows no time before anything was trained, unless it measures."""
    path = write_suite()
    assert json.loads(nrbench("plan", path, "--json").out)["seconds"] is None
    assert json.loads(nrbench("plan", path, "--json", "--measure").out)["seconds"] > 0
