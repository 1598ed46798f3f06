"""The same bytes from every executor in any order, and from a Ray cluster whose workers are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import nrbench
from nrbench import Executor, Options, Outcome, Processes, Registry
from nrbench.families.executor import Serial
from nrbench_ray import Ray
from tests.faults.victims import SUITE
from tests.jobs.test_probing import ALL, LATER, PROBES, records, suite_of


class Shuffled(Executor):
    """Another executor, given its jobs in another order."""

    name: Literal["shuffled"] = "shuffled"
    order: int
    executor: Executor

    def map(self, work: Any, items: Any) -> Iterator[Outcome[Any, Any]]:
        items = list(items)
        random.Random(self.order).shuffle(items)
        yield from self.executor.map(work, items)


def board(suite: nrbench.Suite, out: Path, executor: Executor) -> bytes:
    return nrbench.run(suite, options=Options(out=out, executor=executor)).json_bytes()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("executor", [Serial(), Processes(jobs=2), Ray(jobs=2)], ids=lambda executor: executor.name)
def test_neither_executor_nor_order_changes_a_byte(executor: Executor, registry: Registry, tmp_path: Path) -> None:
    """Six orders of the jobs, each computed from nothing, give the bytes of a serial run."""
    path = tmp_path / "victim.yaml"
    path.write_text(SUITE.replace("seeds: 1", "seeds: 3"))
    suite = suite_of(path, registry)
    expected = board(suite, tmp_path / "serial", Serial())
    for order in range(6):
        assert board(suite, tmp_path / str(order), Shuffled(order=order, executor=executor)) == expected


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("executor", [Processes(jobs=2), Ray(jobs=2)], ids=lambda executor: executor.name)
def test_probes_measure_the_same_everywhere(executor: Executor, registry: Registry, tmp_path: Path) -> None:
    """Every probe, with observed steps and a landscape, measures the same numbers elsewhere, at once and asked for later."""
    path = tmp_path / "victim.yaml"
    path.write_text(SUITE.replace("keep_epochs: 0, ", ""))
    without = suite_of(path, registry)
    path.write_text(SUITE.replace("keep_epochs: 0, ", "") + ALL)
    suite = suite_of(path, registry)
    nrbench.run(suite, options=Options(out=tmp_path / "here"))
    nrbench.run(suite, options=Options(out=tmp_path / "there", executor=executor))
    assert records(suite, tmp_path / "there") == records(suite, tmp_path / "here")
    nrbench.run(without, options=Options(out=tmp_path / "later", executor=executor))
    path.write_text(SUITE.replace("keep_epochs: 0, ", "") + LATER + ALL.removeprefix(PROBES).partition("  strength")[0])
    later = suite_of(path, registry)
    nrbench.run(later, options=Options(out=tmp_path / "later", executor=executor))
    nrbench.run(later, options=Options(out=tmp_path / "once"))
    assert records(later, tmp_path / "later") == records(later, tmp_path / "once")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ray_workers_that_are_killed_again_and_again(registry: Registry, tmp_path: Path) -> None:
    """With a worker killed every two seconds the run ends with the bytes of an undisturbed one."""
    path = tmp_path / "victim.yaml"
    path.write_text(SUITE.replace("seeds: 1", "seeds: 4").replace("epochs: 3", "epochs: 60") + PROBES)
    suite = suite_of(path, registry)
    done, killed = threading.Event(), []

    def kill() -> None:
        while not done.wait(2):
            found = subprocess.run(
                ["pgrep", "-f", "ray::_attempt_alike"], capture_output=True, text=True
            ).stdout.split()
            if found:
                os.kill(int(found[0]), signal.SIGKILL)
                killed.append(found[0])

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        found = board(suite, tmp_path / "killed", Ray(jobs=2, retries=20))
        seen = records(suite, tmp_path / "killed")
    finally:
        done.set()
        killer.join()
    assert len(killed) >= 2
    assert found == board(suite, tmp_path / "whole", Serial())
    assert seen == records(suite, tmp_path / "whole")
    print(f"{len(killed)} workers killed")
