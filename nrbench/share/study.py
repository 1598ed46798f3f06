"""Studies: a suite with what is stored of it, in the directory of a run or in a bundle."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nrbench.base import disk
from nrbench.base.errors import NrbenchError, StoreError, SuiteError, UsageError, printable
from nrbench.board.growing import grown
from nrbench.board.leaderboard import Leaderboard, load
from nrbench.families.registry import Registry, load_registry
from nrbench.families.row import Column
from nrbench.jobs.plan import LOCK
from nrbench.jobs.store import Store
from nrbench.share.bundle import Manifest, is_bundle, unpacked
from nrbench.suite.locked import locked_suite
from nrbench.suite.seeds import GrowingSeeds
from nrbench.suite.suite import Benchmark, Suite

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Study:
    """A suite, its results and where they are from."""

    origin: Path
    benchmark: Benchmark
    store: Store
    manifest: Manifest | None = None
    """Of a bundle."""

    @cached_property
    def board(self) -> Leaderboard:
        """What its counts amount to here and now, whatever somebody wrote."""
        return Leaderboard.of(self.benchmark, self.store)

    def check_versions(self, registry: Registry) -> None:
        """Raise `UsageError` where its numbers are of other versions than what is installed, which would not find them."""
        if self.manifest is not None:
            installed = {f"{entry.kind}/{entry.name}": entry.component for entry in registry.entries}
            for difference in self.manifest.differences(installed):
                raise UsageError(f"{self.origin} was made with {difference}")
            return
        written = {(row.column, row.method): row.cells for row in load(self.origin).rows}
        for part in self.benchmark.parts:
            for (column, method), cells in part.rows.items():
                keys = written.get((column, method), ())
                if any(key != cell.key for key, cell in zip(keys, cells, strict=False)):
                    raise UsageError(
                        f"{self.origin}: {method} under {column.noise} was computed by other versions than the installed ones"
                    )


@contextmanager
def opened(path: Path, registry: Registry, *, data: Path | None = None) -> Iterator[Study]:
    """Open the directory of a run, or a bundle; nothing in it is executed, and nothing is written to it.

    Files that a bundle's suite names and that are not in it, such as images, are looked for by their names in a directory of
    `data`. Raise `UsageError` for what is neither, or where a component is not installed, and `StoreError` for a bundle that
    is not what its manifest says.
    """
    if is_bundle(path):
        with unpacked(path) as (folder, manifest):
            _resolve_files(folder, data)
            yield Study(
                path, _locked(path, folder, registry, manifest), Store(folder / "store", untouched=True), manifest
            )
        return
    folder = path.resolve()
    if not (folder / LOCK).is_file() or not (folder.parent / "store").is_dir():
        raise UsageError(f"{path} is neither the directory of a run, with {LOCK} and a store beside it, nor a bundle")
    store = Store(folder.parent / "store", untouched=True)
    disk.check_no_links(store.root)
    yield Study(path, grown(locked_suite(folder / LOCK, registry), store), store)


def _locked(path: Path, folder: Path, registry: Registry, manifest: Manifest) -> Suite:
    try:
        suite = locked_suite(folder / LOCK, registry)
    except SuiteError as error:
        installed = {f"{entry.kind}/{entry.name}": entry.component for entry in registry.entries}
        reasons = [*manifest.differences(installed), *(f"{each.path}: {each.message}" for each in error.problems)]
        raise UsageError(f"{path} cannot be read here: {printable(reasons[0])}") from None
    if not isinstance(suite, Suite) or len(suite.rows) != 1:
        raise StoreError(f"{path}: its suite is not that of one row")
    if not isinstance(suite.seeds, GrowingSeeds):
        return suite
    if not suite.seeds.first <= manifest.seeds <= suite.seeds.last:
        raise StoreError(f"{path}: it has {manifest.seeds} seeds, of {suite.seeds.first} to {suite.seeds.last}")
    return suite.with_seeds(manifest.seeds)


def _resolve_files(folder: Path, data: Path | None) -> None:
    """Let the files that a bundle's suite names be those in the bundle, known by their SHA-256, or in a directory of data."""

    def place(file: Mapping[str, Any]) -> str:
        inside = folder / "files" / Path(str(file["sha256"])).name
        beside = None if data is None else data / Path(str(file["path"])).name
        return str(inside if inside.exists() or beside is None else beside)

    try:
        document = json.loads(disk.read(folder / LOCK) or b"")
        disk.write(folder / LOCK, json.dumps(with_files(document, place)).encode())
    except (ValueError, RecursionError) as error:
        raise StoreError(f"its {LOCK} is damaged: {error}") from None


def with_files(value: Any, place: Callable[[Mapping[str, Any]], str]) -> Any:
    """Return a locked suite, as plain data, with other paths for the files that it names."""
    if isinstance(value, dict):
        if value.keys() == {"path", "sha256"}:
            return value | {"path": place(value)}
        return {key: with_files(item, place) for key, item in value.items()}
    return [with_files(item, place) for item in value] if isinstance(value, list) else value


def board_of(path: Path) -> Leaderboard:
    """Return the leaderboard of a bundle, of a directory of a run or of a file leaderboard.json."""
    if not is_bundle(path):
        return load(path)
    registry = load_registry()
    with opened(path, registry) as study:
        study.check_versions(registry)
        return study.board


@dataclass(frozen=True)
class StudyRow:
    """A row of a study."""

    study: Study
    part: Suite
    column: Column
    method: str


@contextmanager
def row_of(name: str, results: Path, registry: Registry) -> Iterator[StudyRow]:
    """Find the row, among the runs in a directory of results, one of whose cells has a key that starts like this.

    What stands before a slash, as in study/0c936958, is the run that is meant. Raise `UsageError` for no row or several.
    """
    run, _, start = name.rpartition("/")
    found: dict[tuple[str, ...], tuple[Path, int, Column, str]] = {}
    for lock in sorted(results.glob(f"*/{LOCK}")):
        if run not in ("", lock.parent.name):
            continue
        try:
            with opened(lock.parent, registry) as study:
                for number, part in enumerate(study.benchmark.parts):
                    for (column, method), cells in part.rows.items():
                        keys = tuple(cell.key for cell in cells)
                        if start and any(key.startswith(start) for key in keys):
                            found.setdefault(keys, (lock.parent, number, column, method))
        except NrbenchError as error:
            log.warning("%s is left out: %s", lock.parent, error)
    if len(found) != 1:
        runs = sorted({f"{folder.name}/{start}" for folder, *_ in found.values()})
        hint = f"; say which: {' or '.join(runs)}" if len(runs) > 1 else ""
        number_found = len(found) or "no"
        raise UsageError(f"{number_found} rows of runs in {results} have a cell whose key starts with {start!r}{hint}")
    folder, number, column, method = next(iter(found.values()))
    with opened(folder, registry) as study:
        yield StudyRow(study, study.benchmark.parts[number], column, method)
