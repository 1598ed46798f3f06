"""The runner: from a suite to its leaderboard, computing only what is not stored."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from platformdirs import user_cache_path

from nrbench import disk
from nrbench.cell import Cell
from nrbench.dataset import hold_out, load_splits
from nrbench.errors import MissingError, UsageError
from nrbench.executor import Executor, Failure, Serial
from nrbench.job import Job, Setting, run_job
from nrbench.leaderboard import Leaderboard
from nrbench.lock import held
from nrbench.reading import load_suite
from nrbench.registry import Registry, load_registry
from nrbench.report import write_reports
from nrbench.results import CellFailure
from nrbench.runlog import Event, Watcher, unwatched
from nrbench.store import Store
from nrbench.suite import Benchmark, find_suite

log = logging.getLogger(__name__)

LOCK = "suite.lock.json"
"""The resolved suite, written beside its leaderboard."""
LOG = "run.log"
"""What happened, as JSON lines."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a suite asks for and what of it is left to do."""

    cells: tuple[Cell, ...]
    jobs: tuple[Job, ...]
    failed: tuple[Cell, ...]
    """Cells whose stored failure stands, because nobody asked to retry it."""

    @property
    def missing(self) -> int:
        """The number of cells to compute."""
        return sum(len(job.cells) for job in self.jobs)


def plan(cells: Iterable[Cell], store: Store, *, force: bool = False, retry_failed: bool = False) -> Plan:
    """Return the jobs for all cells without a result: one for each training, with its missing cells."""
    asked = tuple(cells)
    failed = []
    missing: dict[str, list[Cell]] = {}
    for cell in asked:
        known = None if force else store.result(cell.key)
        if isinstance(known, CellFailure) and not (retry_failed or known.status == "killed"):
            failed.append(cell)
        elif known is None or isinstance(known, CellFailure):
            missing.setdefault(cell.training.key, []).append(cell)
    jobs = tuple(Job(cells[0].training, tuple(dict.fromkeys(cells))) for cells in missing.values())
    return Plan(asked, jobs, tuple(failed))


@dataclass(frozen=True, slots=True)
class Options:
    """How a suite is run; none of it changes a number."""

    out: Path = Path("results")
    data: Path | None = None
    device: str = "auto"
    executor: Executor = field(default_factory=Serial)
    only: Sequence[str] = ()
    exclude: Sequence[str] = ()
    force: bool = False
    retry_failed: bool = False

    @property
    def store(self) -> Store:
        """Where results are kept."""
        return Store(Path(self.out) / "store")

    @property
    def data_root(self) -> Path:
        """Where data sets are kept."""
        return (
            Path(self.data)
            if self.data
            else Path(os.environ.get("NRBENCH_DATA_DIR") or user_cache_path("nrbench") / "data")
        )


def find_device(name: str) -> torch.device:
    """Return a device by its name, `auto` being a GPU where there is one; raise `MissingError` if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise MissingError(f"{name!r} is no device; there are auto, cpu, cuda and cuda:<number>") from error
    if device.type not in ("cpu", "cuda"):
        raise MissingError(f"nrbench does not compute on {name!r}; there are auto, cpu, cuda and cuda:<number>")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MissingError(f"there is no device {name}: torch sees {torch.cuda.device_count()} GPUs")
    return device


def run(
    suite: Benchmark | str | Path,
    *,
    options: Options | None = None,
    registry: Registry | None = None,
    settings: Sequence[str] = (),
    watch: Watcher = unwatched,
    planned: Callable[[Plan], None] = lambda plan: None,
) -> Leaderboard:
    """Run a suite, given itself, as a file or as the name of one that comes with nrbench, and write its leaderboard.

    What is stored already is not computed again. Raise `SuiteError` for an invalid suite, `DataError` before anything is
    trained if a data set is not there, `StoreError` when results cannot be written. A cell that fails is a row that says so.
    """
    options = options or Options()
    if isinstance(suite, Benchmark) and settings:
        raise UsageError("settings are laid over a suite's file, not over one that was read")
    if not isinstance(suite, Benchmark):
        suite = load_suite(find_suite(suite), registry or load_registry(), settings=settings)
    device = find_device(options.device)
    suite, store, folder = suite.for_device(device), options.store, Path(options.out) / suite.name
    with held(folder, wait=False):
        disk.sweep(folder)
        disk.sweep(store.root)
        if disk.read(folder / LOCK) not in (None, suite.lock()):
            log.info("%s held the leaderboard of a suite that differs from this one; it is replaced", folder)
        disk.write(folder / LOCK, suite.lock())
        asked = list(suite.cells(only=options.only, exclude=options.exclude))
        if not asked:
            raise UsageError("no cell has labels like these: " + ", ".join(suite.labels()))
        work = plan(asked, store, force=options.force, retry_failed=options.retry_failed)
        for dataset, held_out in dict.fromkeys((j.training.dataset, j.training.recipe.held_out) for j in work.jobs):
            hold_out(load_splits(dataset, options.data_root).train, held_out, dataset.fingerprint)
        planned(work)
        setting = Setting(store.root, options.data_root, str(device), options.force, folder / LOG, watch)
        _execute(work, setting, options)
        board = Leaderboard.of(suite, store)
        write_reports(board, suite, store, folder)
    return board


def _execute(work: Plan, setting: Setting, options: Options) -> None:
    """Run the jobs of a plan; a job that fails as a whole costs its own cells, one that would fail everywhere is raised."""
    store = options.store
    for cell in (cell for job in work.jobs for cell in job.cells) if options.force else ():
        store.discard(cell.key)
    for outcome in options.executor.map(partial(run_job, setting=setting), work.jobs):
        job, result = outcome.item, outcome.result
        if isinstance(result, Failure):
            if result.refusal is not None:
                raise result.refusal
            setting.tell(Event(training=job.training.key, kind="failed", message=result.message))
            printed = setting.printed(job)
            reason = CellFailure(
                status=result.kind,
                message=result.message,
                traceback=result.traceback,
                log=str(printed) if printed and printed.exists() else None,
            )
            result = {cell.key: reason for cell in job.cells}
        for key, found in result.items():  # nothing new, where the worker and this process share a disk
            store.put(key, found)
        setting.tell(Event(training=job.training.key, kind="finished"))
