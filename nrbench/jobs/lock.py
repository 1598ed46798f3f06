"""Locks: a directory that one process works in at a time, and who that is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from nrbench.base import disk
from nrbench.base.component import Frozen
from nrbench.base.errors import StoreError


class Holder(Frozen):
    """The process that holds a lock."""

    host: str
    pid: int
    since: str
    """Local time at which it took the lock."""


_HOLDER = TypeAdapter(Holder)


@contextmanager
def held(folder: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock of a directory, waiting for it or raising `StoreError` with its holder; a dead process holds none."""
    path = folder / ".lock"
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise StoreError(f"{path} is no regular file")
    lock = FileLock(path)
    try:
        disk.make_directory(folder)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise StoreError(f"{folder} is in use by {_described(holder(folder))}") from None
    except OSError as error:
        raise StoreError(f"cannot lock {folder}: {error.strerror}") from error
    try:
        now = Holder(
            host=socket.gethostname(), pid=os.getpid(), since=datetime.now(UTC).astimezone().isoformat("T", "seconds")
        )
        disk.write(folder / ".holder.json", now.model_dump_json().encode(), wait="nothing")
        yield
    finally:
        disk.remove(folder / ".holder.json")
        lock.release()


def holder(folder: Path) -> Holder | None:
    """Return who holds the lock of a directory, as far as it is known; a process of this host that is dead is nobody."""
    content = disk.read(folder / ".holder.json")
    try:
        found = None if content is None else _HOLDER.validate_json(content)
    except ValidationError:
        return None
    dead = found is not None and found.host == socket.gethostname() and not disk.is_alive(found.pid)
    return None if dead else found


def _described(found: Holder | None) -> str:
    return "another process" if found is None else f"process {found.pid} on {found.host} since {found.since}"
