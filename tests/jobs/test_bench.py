from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nrbench import Store, load_registry, load_suite, plan
from nrbench.jobs.bench import evaluation_costs, expected_seconds, step_costs
from tests.conftest import Finished

CPU = torch.device("cpu")
MORE = ["methods.SAM={name: sam}", "report.baseline=RWP"]


def test_steps_of_every_method_are_timed(write_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Each method on each backbone and data set has its own passes, and the baseline is 1 by definition."""
    suite = load_suite(write_suite(), load_registry(), settings=MORE)
    costs = {cost.method: cost for cost in step_costs(suite, tmp_path, CPU)}
    assert {label: cost.passes for label, cost in costs.items()} == {"SGD": 1, "RWP": 1, "SAM": 2}
    assert costs["RWP"].relative == 1
    for cost in costs.values():  # 32 images in a step
        assert cost.images_per_second * cost.milliseconds == pytest.approx(32_000)


def test_evaluations_are_timed(write_suite: Callable[..., Path], tmp_path: Path) -> None:
    """A backbone has a rate, a share of the peak, and a noisy pass where there is a random noise model."""
    suite = load_suite(write_suite(), load_registry())
    (cost,) = evaluation_costs(suite, tmp_path, CPU)
    assert cost.images_per_second > 0
    assert cost.of_peak > 0
    assert cost.noisy is not None
    (clean,) = evaluation_costs(suite.replace(noise={"clean": suite.noise["clean"]}), tmp_path, CPU)
    assert clean.noisy is None


def test_bench_on_the_command_line(nrbench: Callable[..., object], write_suite: Callable[..., Path]) -> None:
    """A table for each network, or JSON with the same numbers' names; nothing is stored."""
    path = write_suite()
    done = nrbench("bench", path)
    assert done.code == 0  # type: ignore[attr-defined]
    assert "÷ SGD" in done.out  # type: ignore[attr-defined]
    numbers = json.loads(nrbench("bench", path, "--json").out)  # type: ignore[attr-defined]
    assert [cost["method"] for cost in numbers["steps"]] == ["SGD", "RWP"]
    assert {path.name for path in path.parent.iterdir()} == {"suite.yaml"}


def test_a_plan_is_measured(write_suite: Callable[..., Path], tmp_path: Path) -> None:
    """The time expected is that of the steps, scorings and draws of the jobs, and none for none."""
    suite = load_suite(write_suite(), load_registry())
    jobs = plan(suite.cells(), Store(tmp_path)).jobs
    assert expected_seconds(suite, [], tmp_path, CPU) == 0
    found = expected_seconds(suite, jobs, tmp_path, CPU)
    assert found > 0


def test_plan_measures_on_the_command_line(nrbench: Callable[..., Finished], write_suite: Callable[..., Path]) -> None:
    """A plan knows no time before anything was trained, unless it measures."""
    path = write_suite()
    assert json.loads(nrbench("plan", path, "--json").out)["seconds"] is None
    assert json.loads(nrbench("plan", path, "--json", "--measure").out)["seconds"] > 0
