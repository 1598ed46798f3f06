from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nrbench import Suite, load_registry, load_suite
from nrbench.jobs import bench
from nrbench_backbones import MLP
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
    pairs = bench.in_pairs(lambda: order.append("work"), lambda: order.append("other"), CPU, seconds=0.0)
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


def test_the_operations_of_a_pass_by_hand() -> None:
    """A network of 64, 16 and 4 units takes 2 · (64 · 16 + 16 · 4) floating-point operations an image."""
    model = MLP(hidden=(16,)).build(num_classes=4, input_shape=(1, 8, 8))
    assert bench._operations(model, torch.zeros(1, 1, 8, 8)) == 2 * (64 * 16 + 16 * 4)


def test_plan_measures_on_the_command_line(nrbench: Callable[..., Finished], write_suite: Callable[..., Path]) -> None:
    """A plan knows no time before anything was trained, unless it measures."""
    path = write_suite()
    assert json.loads(nrbench("plan", path, "--json").out)["seconds"] is None
    assert json.loads(nrbench("plan", path, "--json", "--measure").out)["seconds"] > 0
