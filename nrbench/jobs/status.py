"""The status of a suite: what is done, what is running, what is left, while another process may be running it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nrbench.base.component import Frozen
from nrbench.base.log import RunLog
from nrbench.jobs.job import Job
from nrbench.jobs.lock import Holder, holder
from nrbench.jobs.results import CellFailure
from nrbench.jobs.store import Store
from nrbench.suite.suite import Benchmark


class Running(Frozen):
    """A training that a process is at."""

    training: str
    """Its key."""
    name: str
    epoch: int
    """Epochs that are stored."""
    epochs: int
    holder: Holder


class Status(Frozen):
    """How far a suite is, in cells."""

    cells: int
    done: int
    failed: int
    remaining: int
    running: tuple[Running, ...]
    seconds_left: float | None
    """From the rate at which the trainings of the last run were finished; None when none was."""

    def described(self) -> Iterator[tuple[str, str]]:
        """Yield every number with its name, for people."""
        yield "cells", f"{self.cells}"
        yield "done", f"{self.done}"
        yield "failed", f"{self.failed}"
        yield "remaining", f"{self.remaining}"
        for running in self.running:
            yield "running", f"{running.name}: epoch {running.epoch}/{running.epochs} (process {running.holder.pid})"
        if self.remaining:
            yield "time left", "unknown" if self.seconds_left is None else f"{self.seconds_left:.0f} s"


def status(suite: Benchmark, store: Store, log: Path) -> Status:
    """Return how far a suite is; nothing is locked and nothing written."""
    jobs: dict[str, Job] = {}
    found = {}
    for cell in suite.cells():
        found[cell] = store.result_of(cell)
        if found[cell] is None:
            job = jobs.get(cell.training.key)
            jobs[cell.training.key] = Job(cell.training, (*(job.cells if job else ()), cell))
    names = suite.trainings()
    running = []
    for key, job in jobs.items():
        stored = store.training(key)
        owner = holder(stored.root)
        if owner is not None:
            epoch = len(stored.record().epochs)
            running.append(
                Running(training=key, name=str(names[key]), epoch=epoch, epochs=job.training.epochs, holder=owner)
            )
    failed = sum(isinstance(result, CellFailure) for result in found.values())
    missing = sum(result is None for result in found.values())
    return Status(
        cells=len(found),
        done=len(found) - missing - failed,
        failed=failed,
        remaining=missing,
        running=tuple(running),
        seconds_left=_seconds_left(log, len(jobs)),
    )


def _seconds_left(log: Path, trainings: int) -> float | None:
    events = list(RunLog(log).news())
    ends = [event.time for event in events if event.kind == "finished"]
    starts = [event.time for event in events if event.kind == "started"]
    if not ends or not starts or trainings == 0:
        return 0.0 if trainings == 0 else None
    left = trainings * (ends[-1] - starts[0]) / len(ends)
    return left if 0 <= left < 1e12 else None  # a clock that was set, or a log of anybody's
