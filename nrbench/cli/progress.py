"""Progress of a run on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nrbench.base.errors import printable
from nrbench.base.log import Event, RunLog, followed
from nrbench.jobs.plan import FAILURES, Plan
from nrbench.suite.suite import Benchmark


def log_to(console: Console, *, verbosity: int) -> None:
    """Send nrbench's log to a console: warnings, and more with each step of verbosity."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    handler = RichHandler(console=console, show_time=False, show_path=False, markup=False)
    logger = logging.getLogger("nrbench")
    logger.handlers[:] = [handler]
    logger.setLevel(level)


class Watch:
    """Progress of a run, read from its log: a live table on a terminal, one plain line per event elsewhere."""

    def __init__(self, console: Console, log: RunLog, *, quiet: bool) -> None:
        self._console, self._log, self._quiet = console, log, quiet
        self._show = self._live if console.is_terminal else self._plain
        self._names: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._epochs: dict[str, int] = {}
        self._failed: set[str] = set()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._cells = self._progress.add_task("cells", total=None)
        self._tasks: dict[str, TaskID] = {}

    def planned(self, suite: Benchmark, plan: Plan) -> None:
        """Take note of what is going to be done, beside what was before."""
        self._names |= {key: str(labels) for key, labels in suite.trainings().items()}
        self._sizes |= {job.training.key: len(job.cells) for job in plan.jobs}
        self._epochs |= {job.training.key: job.training.epochs for job in plan.jobs}
        self._progress.update(self._cells, total=sum(self._sizes.values()))
        before = (
            f", {len(plan.failed)} failed before (why: {FAILURES}; --retry-failed tries them again)"
            if plan.failed
            else ""
        )
        self._say(
            f"{suite.name}: {len(plan.cells)} cells, {plan.missing} to compute in {len(plan.jobs)} trainings{before}"
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Follow the log for as long as the context lasts."""
        live = Live(self._progress, console=self._console, refresh_per_second=4, transient=True)
        with live if self._show == self._live and not self._quiet else nullcontext(), followed(self._log, self._told):
            yield

    def _told(self, event: Event) -> None:
        if event.training in self._epochs and not self._quiet:
            self._show(event)

    def _say(self, sentence: str) -> None:
        if not self._quiet:
            self._console.print(Text(sentence), soft_wrap=True)

    def _plain(self, event: Event) -> None:
        name = self._names[event.training]
        if event.kind == "epoch":
            loss = "not finite" if event.loss is None else f"{event.loss:.4g}"
            self._say(f"{name}: epoch {event.epoch}/{self._epochs[event.training]}, loss {loss}")
        elif event.kind == "failed":
            self._failed.add(event.training)
            self._say(f"{name}: failed: {printable(event.message)}")
        elif event.kind == "finished":
            self._say(f"{name}: {'done, but for what failed' if event.training in self._failed else 'done'}")

    def _live(self, event: Event) -> None:
        name, epochs = self._names[event.training], self._epochs.get(event.training)
        if event.kind == "started":
            self._tasks[event.training] = self._progress.add_task(f"  {name}", total=epochs)
        elif event.kind == "epoch" and event.training in self._tasks:
            self._progress.update(self._tasks[event.training], completed=event.epoch)
        elif event.kind == "failed":
            self._say(f"{name}: failed: {printable(event.message)}")
        elif event.kind == "finished":
            self._progress.advance(self._cells, self._sizes[event.training])
            if event.training in self._tasks:
                self._progress.remove_task(self._tasks.pop(event.training))
