"""The run log: what happens in the jobs of a run, as JSON lines that every process adds to and anybody can follow."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from nrbench.base import disk
from nrbench.base.component import Frozen


class Event(Frozen):
    """Something that happened to a training."""

    training: str
    """Its key."""
    kind: Literal["started", "epoch", "failed", "finished"]
    epoch: int = 0
    loss: float | None = None
    """Of the epoch; None when it is not finite."""
    message: str = ""
    time: float = 0.0
    """Seconds since 1970."""


Watcher = Callable[[Event], None]


MOST_READ = 2**26
"""Bytes of news that are read; of more the last ones."""


class RunLog:
    """A file of events; several processes may write to it while others follow."""

    def __init__(self, path: Path, *, start: int = 0) -> None:
        self.path = path
        self._position = start

    def add(self, event: Event) -> None:
        """Write an event with the time."""
        disk.append(self.path, event.replace(time=round(time.time(), 3)).model_dump_json())

    def skip(self) -> None:
        """Go to the end: what follows is news."""
        self._position = self.path.stat().st_size if self.path.exists() else 0

    def news(self) -> Iterator[Event]:
        """Yield the events that were added since the last call; a line that is not whole yet is left for the next."""
        try:
            if self.path.is_symlink() or not self.path.is_file():
                return
            with self.path.open("rb") as file:
                file.seek(max(self._position, file.seek(0, os.SEEK_END) - MOST_READ))
                content = file.read(MOST_READ)
        except (FileNotFoundError, NotADirectoryError):
            return
        whole, _, _ = content.rpartition(b"\n")
        self._position += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            try:
                yield Event.model_validate_json(line)
            except ValidationError:  # cut short by a crash
                continue


@contextmanager
def followed(log: RunLog, watcher: Watcher) -> Iterator[None]:
    """Tell a watcher, in a thread, what is added to a log for as long as the context lasts."""
    log.skip()
    done = threading.Event()

    def follow() -> None:
        last = False
        while not last:
            last = done.wait(0.2)
            for event in log.news():
                watcher(event)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        done.set()
        follower.join()
