"""Cleaning: what a store holds by size and age, and what of it no suite needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nrbench.base import disk
from nrbench.jobs.lock import holder
from nrbench.suite.suite import Benchmark

Kind = Literal["cells", "trainings", "damaged files"]
_CELL = re.compile(r"([0-9a-f]{32})\.json")
_TRAINING = re.compile(r"[0-9a-f]{32}")
_OURS = re.compile(r"(spec|record)\.json|(checkpoint-)?[0-9]+\.safetensors|\.?lock.*|.*\.lock")
_DAMAGED = re.compile(
    r"([0-9a-f]{32}(\.[0-9a-f]+)?|spec|record)\.json\.damaged|(checkpoint-)?[0-9]+\.safetensors\.damaged"
)


@dataclass(frozen=True, slots=True)
class Holding:
    """Something that a store holds: the result of a cell, a training with its weights, or what was set aside as damaged."""

    kind: Kind
    path: Path
    files: tuple[Path, ...]
    bytes: int
    modified: float
    """Seconds since 1970 at which its newest file was written."""
    needed: bool

    def remove(self) -> None:
        """Remove it from the disk."""
        for file in self.files:
            disk.remove(file)
        for folder in (self.path / "epochs", self.path):
            with suppress(OSError):  # a file that was written meanwhile keeps its directory
                folder.rmdir()


def holdings(root: Path, suites: Iterable[Benchmark]) -> Iterator[Holding]:
    """Yield what the store at a path holds; needed is what one of some suites asks for, or a process is at."""
    cells: set[str] = set()
    trainings: set[str] = set()
    for suite in suites:
        cells |= {cell.key for cell in suite.cells()}
        trainings |= suite.trainings().keys()
    for path in _inside(root, "cells/??/*.json"):
        if name := _CELL.fullmatch(path.name):
            yield _holding("cells", path, [path], needed=name.group(1) in cells)
    for folder in _inside(root, "trainings/*"):
        if _TRAINING.fullmatch(folder.name) and folder.is_dir():
            files = [path for path in _files(folder) if _OURS.fullmatch(path.name)]
            yield _holding("trainings", folder, files, needed=folder.name in trainings or holder(folder) is not None)
    for path in _inside(root, "**/*.damaged"):
        if path.is_file() and _DAMAGED.fullmatch(path.name):
            yield _holding("damaged files", path, [path], needed=False)


def _inside(root: Path, pattern: str) -> Iterator[Path]:
    """Yield what matches a pattern, but for links and what is behind one."""
    for path in sorted(root.glob(pattern)):
        if not any(each.is_symlink() for each in (path, *path.parents) if each != root and root in each.parents):
            yield path


def _files(folder: Path) -> Iterator[Path]:
    for part in (folder, folder / "epochs"):
        if not part.is_symlink() and part.is_dir():
            yield from (path for path in sorted(part.iterdir()) if path.is_file() and not path.is_symlink())


def _holding(kind: Kind, path: Path, files: Sequence[Path], *, needed: bool) -> Holding:
    status = [file.stat() for file in files]
    size, newest = sum(each.st_size for each in status), max((each.st_mtime for each in status), default=0.0)
    return Holding(kind, path, tuple(files), size, newest, needed)


@dataclass(frozen=True, slots=True)
class Held:
    """All holdings of a kind."""

    kind: Kind
    number: int
    bytes: int
    oldest: float | None
    newest: float | None


def held_in(found: Collection[Holding]) -> Iterator[Held]:
    """Yield what holdings amount to, kind by kind."""
    for kind in dict.fromkeys(holding.kind for holding in found):
        own = [holding for holding in found if holding.kind == kind]
        times = [holding.modified for holding in own if holding.files]
        size = sum(holding.bytes for holding in own)
        yield Held(kind, len(own), size, min(times, default=None), max(times, default=None))
