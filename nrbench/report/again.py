"""Reports again: where nothing that a report is made of has changed, what it was the last time is shown.

A result is known by the name, time, size and number of its file, not by reading it: `nrbench verify` does that. What is kept
is in the cache directory of the user, not with the results, which may be anybody's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from re import split

from platformdirs import user_cache_path
from pydantic import TypeAdapter
from rich.console import Console

from nrbench.base.component import Frozen, digest
from nrbench.base.errors import StoreError
from nrbench.families.registry import Registry
from nrbench.jobs.files import read_json, write_json
from nrbench.jobs.store import Store
from nrbench.report.page import Page
from nrbench.report.terminal import print_page
from nrbench.suite.suite import Benchmark

Mark = tuple[str, int, int, int]
"""The path of a file, when it was written to, its size and its number on the disk."""


class Reported(Frozen):
    """A report that was made."""

    behind: str
    """A hash of the marks of everything behind it."""
    written: tuple[Mark, ...]
    """The files of it."""
    failed: bool
    """Whether a row has no result."""
    screens: dict[str, str]
    """What a terminal showed, by its width and colours."""


_REPORTED: TypeAdapter[Reported] = TypeAdapter(Reported)


def reported(
    benchmark: Benchmark, store: Store, folder: Path, console: Console, registry: Registry, make: Callable[[], Page]
) -> tuple[str, bool]:
    """Return what a terminal shows of a report, and whether a row has no result; `make` writes it where anything changed."""
    path = user_cache_path("nrbench") / "reports" / f"{digest(str(folder.resolve()))}.json"
    behind = _behind(benchmark, store, registry)
    screen = f"{console.width} {console.color_system} {console.no_color} {console.encoding}"
    last = None
    with suppress(StoreError):  # no cache is no reason not to report
        last = read_json(path, _REPORTED)
    if last is not None and (last.behind != behind or last.written != tuple(_written(folder))):
        last = None
    if last is not None and screen in last.screens:
        return last.screens[screen], last.failed
    page = make()
    with console.capture() as captured:
        print_page(console, page)
    screens = {**(last.screens if last else {}), screen: captured.get()}
    now = Reported(behind=behind, written=tuple(_written(folder)), failed=bool(page.board.failed), screens=screens)
    with suppress(StoreError, OSError):
        write_json(path, now.model_dump(mode="json"), wait="nothing")
    return screens[screen], now.failed


def _behind(benchmark: Benchmark, store: Store, registry: Registry) -> str:
    """Return a hash of what a report depends on: the suite, all results beside it, printed numbers, and code."""
    printed = [each.reference.file.path for each in (benchmark, *benchmark.parts) if each.reference is not None]
    packages = {entry.component.__module__.partition(".")[0] for entry in registry.entries} | {"nrbench"}
    marks = [
        *_json_files(store.root / "cells"),
        *(mark for training in _entries(store.root / "trainings") for mark in _marks([Path(training, "record.json")])),
        *_json_files(store.root / "data"),
        *_marks(map(Path, printed)),
        *(mark for package in sorted(packages) for mark in _marks(_sources(package))),
    ]
    return digest([benchmark.lock().decode(), sorted(marks), [sys.version, *_versions()]])


def _written(folder: Path) -> Iterator[Mark]:
    """Yield the files of a report that are there."""
    kinds = ("leaderboard", "cost.json", "probes.csv", "failures.txt")
    names = [name for name in _entries(folder) if Path(name).name.startswith(kinds)]
    yield from _marks(map(Path, [*names, *_entries(folder / "figures")]))


def _marks(paths: Iterator[Path] | list[Path]) -> Iterator[Mark]:
    for path in paths:
        with suppress(OSError):
            found = path.stat()
            yield str(path), found.st_mtime_ns, found.st_size, found.st_ino


def _json_files(folder: Path | str) -> Iterator[Mark]:
    """Yield the marks of the documents below a directory; `os.scandir` is three times as fast as a glob of 10,000 files."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _json_files(entry.path)
            elif entry.name.endswith(".json"):
                found = entry.stat(follow_symlinks=False)
                yield entry.path, found.st_mtime_ns, found.st_size, found.st_ino


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.path for entry in os.scandir(folder))
    except OSError:
        return []


def _sources(package: str) -> list[Path]:
    """Return the files of code and templates of a package, or of a module that stands alone."""
    module = sys.modules.get(package)
    folders = list(getattr(module, "__path__", ()))
    alone = [] if folders or module is None or module.__file__ is None else [Path(module.__file__)]
    return alone + [
        file for each in folders for file in sorted(Path(each).rglob("*")) if file.suffix not in ("", ".pyc")
    ]


def _versions() -> Iterator[str]:
    """Yield the versions of what nrbench requires, which draw and print."""
    for requirement in requires("nrbench") or ():
        name = split(r"[^\w.-]", requirement, maxsplit=1)[0]
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"
