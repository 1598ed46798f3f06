"""The disk: the one place that changes files. A write is whole or absent and, unless it says otherwise, lasts.

Every step that a crash or a full disk can hit is one of the `STEPS`, called by its name in this module, so that tests can
make each of them fail.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

from nrbench.base.errors import StoreError

STEPS = ("make_directory", "put", "synchronise", "rename", "unlink", "add")
Wait = Literal["name", "content", "nothing"]
_DRAFT = "writing"
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)
"""Do not wait for the other end of a pipe."""
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | _AT_ONCE
"""Nor follow a link."""
_HOST = socket.gethostname().replace(".", "_")


LARGEST = 2**36
"""Bytes of a file that is read; more is no file of weights or results."""


def content(path: Path, *, largest: int = LARGEST, follow: bool = True) -> bytes:
    """Return what a regular file holds; raise `OSError` for anything else, and for one that is too large, and never wait."""
    descriptor = os.open(path, os.O_RDONLY | (_PLAIN if not follow else _AT_ONCE))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if status.st_size > largest:
            raise OSError(errno.EFBIG, f"it has {status.st_size:,} bytes, more than {largest:,}")
        return file.read() or b""


def read(path: Path, *, largest: int = LARGEST) -> bytes | None:
    """Return a regular file's content, None when there is no such file.

    What is in a directory of results may be anybody's: a link is not followed, and nothing else than a file is opened.
    """
    with _reported(path):
        try:
            return content(path, largest=largest, follow=False)
        except FileNotFoundError:
            return None


def inside(root: Path, path: Path) -> Path:
    """Return a path below a directory; raise `StoreError` if a link on the way to it leads out of there."""
    for parent in path.parents:
        if parent == root:
            return path
        if parent.is_symlink():
            raise StoreError(f"{parent} is a link, which is not followed")
    raise StoreError(f"{path} is not inside {root}")


def check_no_links(*paths: Path) -> None:
    """Raise `StoreError` for a directory that is a link: what is written into it would be somewhere else."""
    for path in paths:
        if path.is_symlink():
            raise StoreError(f"{path} is a link, which is not followed; where results go is for -o to say")


def write(path: Path, content: bytes, *, wait: Wait = "name") -> None:
    """Put content into a file, so that after the death of this process it is there whole or as it was before.

    `wait` says what is on the disk when it returns, should the whole machine stop: content and name; the content, so that
    the file is there whole or as it was before; or neither.
    """
    draft = path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.{uuid4().hex}.{_DRAFT}")
    with _reported(path):
        if not path.parent.exists():
            make_directory(path.parent)
        try:
            put(draft, content)
            if wait != "nothing":
                synchronise(draft)
            rename(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        if wait == "name":
            synchronise(path.parent)


def append(path: Path, line: str) -> None:
    """Add a line to a file that several processes may add to; it may be lost in a crash, but not mixed with another."""
    with _reported(path):
        make_directory(path.parent)
        add(path, line)


def move(path: Path, target: Path) -> None:
    """Give a file another name."""
    with _reported(path):
        rename(path, target)
        synchronise(target.parent)


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    with _reported(path):
        unlink(path)


def sweep(folder: Path) -> None:
    """Remove the drafts that dead processes of this host left below a directory; leave all else alone."""
    for parent, _, names in os.walk(folder):
        for name in (name for name in names if name.startswith(".") and name.endswith(f".{_DRAFT}")):
            *_, host, pid, _unique, _ = ("", "", *name.split("."))
            if host == _HOST and pid.isdecimal() and len(pid) < 10 and not is_alive(int(pid)):
                remove(Path(parent, name))


def is_alive(pid: int) -> bool:
    """Whether a process of this host is running."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def make_directory(path: Path) -> None:
    """Make a directory and those above it."""
    path.mkdir(parents=True, exist_ok=True)


def put(path: Path, content: bytes) -> None:
    """Make a new file."""
    with path.open("xb") as file:
        file.write(content)


def synchronise(path: Path) -> None:
    """Wait until a file's content, or a directory's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(path: Path, target: Path) -> None:
    """Replace a file by another in one step."""
    path.replace(target)


def unlink(path: Path) -> None:
    """Remove a file if it is there."""
    path.unlink(missing_ok=True)


def add(path: Path, line: str) -> None:
    """Write a line behind the last, in one system call."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _PLAIN, 0o666)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise StoreError(f"{path} does not fit into memory") from error
    except OSError as error:
        raise StoreError(f"cannot write or read {path}: {error.strerror or error}{_room(path)}") from error


def _room(path: Path) -> str:
    """Say how much is free where a path is to be, as far as that can be found out."""
    for folder in path.parents:
        try:
            return f" ({shutil.disk_usage(folder).free / 2**20:.1f} MiB free)"
        except OSError:
            continue
    return ""
