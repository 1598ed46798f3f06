"""The status of a suite: what is done, what is running, what is left, while another process may be running it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nrbench.base.component import Frozen
from nrbench.base.log import RunLog
from nrbench.families.sheet import shown_seconds
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
    """From the rate at which the trainings of the last run were finished or, before one was, its epochs; None before that."""

    def described(self) -> Iterator[tuple[str, str]]:
        """Yield every number with its name, for people."""
        yield "cells", f"{self.cells}"
        yield "done", f"{self.done}"
        yield "failed", f"{self.failed}"
        yield "remaining", f"{self.remaining}"
        for running in self.running:
            yield "running", f"{running.name}: epoch {running.epoch}/{running.epochs} (process {running.holder.pid})"
        if self.remaining:
            yield "time left", "unknown" if self.seconds_left is None else shown_seconds(self.seconds_left)


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
    epochs = sum(job.training.epochs - len(store.training(key).record().epochs) for key, job in jobs.items())
    failed = sum(isinstance(result, CellFailure) for result in found.values())
    missing = sum(result is None for result in found.values())
    return Status(
        cells=len(found),
        done=len(found) - missing - failed,
        failed=failed,
        remaining=missing,
        running=tuple(running),
        seconds_left=_seconds_left(log, len(jobs), epochs),
    )


def _seconds_left(log: Path, trainings: int, epochs: int) -> float | None:
    events = list(RunLog(log).news())
    times = {kind: [event.time for event in events if event.kind == kind] for kind in ("started", "epoch", "finished")}
    of, number = ("finished", trainings) if times["finished"] else ("epoch", epochs)
    if trainings == 0 or not times["started"] or not times[of]:
        return 0.0 if trainings == 0 else None
    left = number * (times[of][-1] - times["started"][0]) / len(times[of])
    return left if 0 <= left < 1e12 else None  # a clock that was set, or a log of anybody's
