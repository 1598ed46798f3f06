"""What a job prints in a worker process, kept in a file of its own and bounded."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

from nrbench.base import disk

LIMIT = 2**20
"""Bytes of output that are kept; what floods the log loses its beginning."""


@contextmanager
def captured(path: Path | None) -> Iterator[None]:
    """Send standard output and error to a file for as long as the context lasts, in worker processes only.

    The file is there if something was printed, also when the process is killed.
    """
    streams, saved, folder = (
        (sys.stdout, sys.stderr),
        [_duplicate(number) for number in (1, 2)],
        os.open(".", os.O_RDONLY),
    )
    try:
        if path is None or multiprocessing.parent_process() is None:
            with redirect_stdout(sys.stderr):  # what a component prints is no result of ours
                yield
        else:
            with _sent_to(path):
                yield
    finally:  # whatever the job made of them
        for number, stream, original in zip((1, 2), streams, saved, strict=True):
            if stream is not None and stream.closed:
                os.dup2(original, number)
                stream = os.fdopen(number, "w", closefd=False)
            setattr(sys, ("stdout", "stderr")[number - 1], stream)
            os.close(original)
        os.fchdir(folder)
        os.close(folder)


@contextmanager
def _sent_to(path: Path) -> Iterator[None]:
    disk.append(path, "")
    saved = [_duplicate(number) for number in (1, 2)]
    target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0))
    done = threading.Event()
    follower = threading.Thread(target=_bound, args=(path, target, done), daemon=True)
    try:
        for number in (1, 2):
            os.dup2(target, number)
        follower.start()
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError, OSError):  # it is closed, or there is none
                stream.flush()
        done.set()
        for number, original in zip((1, 2), saved, strict=True):
            os.dup2(original, number)
            os.close(original)
        follower.join()
        size = os.fstat(target).st_size
        os.close(target)
        if size == 0:
            disk.remove(path)


def _duplicate(number: int) -> int:
    """Return another name of standard output or error; what is closed is /dev/null from here on."""
    try:
        return os.dup(number)
    except OSError:
        opened = os.open(os.devnull, os.O_WRONLY)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        return os.dup(number)


def _bound(path: Path, target: int, done: threading.Event) -> None:
    """Keep the end of the output, until the job is through and once more then."""
    last = False
    while not last:
        last = done.wait(0.2)
        if os.fstat(target).st_size > LIMIT:
            with path.open("rb") as file:
                file.seek(-LIMIT // 2, os.SEEK_END)
                end = file.read(LIMIT // 2)
            os.ftruncate(target, 0)
            os.write(target, end)
