"""Running: from a suite to its leaderboard, computing only what is not stored."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from nrbench.base import disk
from nrbench.base.errors import DataError, MissingError, NrbenchError, UsageError, told
from nrbench.base.log import Event, RunLog, Watcher, followed
from nrbench.board.growing import goes_on
from nrbench.board.leaderboard import Leaderboard
from nrbench.families.dataset import load_splits
from nrbench.families.executor import Executor, Failure, FailureKind, Outcome, Serial
from nrbench.families.registry import Registry, load_registry
from nrbench.jobs.device import find_device
from nrbench.jobs.job import Job, Results, Setting, run_job
from nrbench.jobs.lock import held
from nrbench.jobs.plan import LOCK, LOG, Options, Plan, plan
from nrbench.jobs.processes import Processes
from nrbench.jobs.results import CellFailure, CellResult
from nrbench.jobs.store import Store
from nrbench.jobs.watching import watched
from nrbench.report.page import Page
from nrbench.report.write import write_reports
from nrbench.suite.cell import Cell
from nrbench.suite.read import load_suite
from nrbench.suite.shipped import find_suite
from nrbench.suite.suite import Benchmark

log = logging.getLogger(__name__)


def run(
    suite: Benchmark | str | Path,
    *,
    options: Options | None = None,
    registry: Registry | None = None,
    settings: Sequence[str] = (),
    watch: Watcher | None = None,
) -> Leaderboard:
    """Run a suite, given itself, as a file or as the name of one that comes with nrbench, and write its leaderboard.

    What is stored already is not computed again. Raise `SuiteError` for an invalid suite, `DataError` before anything is
    trained if a data set is not there, `StoreError` when results cannot be written. A cell that fails is a row that says so.
    `watch` is told, from another thread, what is added to the run log.
    """
    options = options or Options()
    if isinstance(suite, Benchmark) and settings:
        raise UsageError("settings are laid over a suite's file, not over one that was read")
    if not isinstance(suite, Benchmark):
        suite = load_suite(find_suite(suite), registry or load_registry(), settings=settings, data=options.data_root)
    log_file = RunLog(Path(options.out) / suite.name / LOG)
    with followed(log_file, watch) if watch else nullcontext():
        return run_to_page(suite, options).board


def run_to_page(
    suite: Benchmark, options: Options, *, planned: Callable[[Benchmark, Plan], None] = lambda suite, plan: None
) -> Page:
    """Run a suite and return its page; `planned` is told what is going to be computed. See `run`."""
    device = find_device(options.device)
    suite, store, folder = suite.for_device(device), options.store, options.out / suite.name
    disk.check_no_links(folder, store.root, folder / "logs", folder / "figures")
    names = {key: str(labels) for key, labels in suite.trainings().items()}
    with held(folder, wait=False), watched(options.watchers, folder, folder / LOG, names):
        disk.sweep(folder)
        disk.sweep(store.root)
        write_lock(folder, suite)
        setting = Setting(store.root, options.data_root, str(device), options.force, folder / LOG)
        results: dict[str, CellResult | CellFailure] = {}
        for look in suite.looks():
            cells = look.cells(only=options.only, exclude=options.exclude)
            asked = [cell for cell in cells if cell.key not in results]
            if not (asked or results):
                raise UsageError("no cell has labels like these: " + ", ".join(suite.labels()))
            probes = look.probes_of()
            work = plan(asked, store, probes=probes, force=options.force, retry_failed=options.retry_failed)
            _check_data(asked, work, store, options.data_root)
            planned(look, work)
            results |= {**work.stored, **_executed(work, setting, options)}
            stored = {cell.key: store.result_of(cell) for cell in look.cells() if cell.key not in results}
            if not goes_on(look, {**stored, **results}):
                break
        return write_reports(Leaderboard.of(look, store, results), look, store, folder)


def write_lock(folder: Path, suite: Benchmark) -> None:
    """Lock a suite in the directory of its leaderboard; that of another suite of its name is moved out of the way."""
    before = disk.read(folder / LOCK)
    if before is not None and not _is_earlier_form(before, suite.lock()):
        _keep_other(folder, before)
    disk.write(folder / LOCK, suite.lock())


def _is_earlier_form(before: bytes, now: bytes) -> bool:
    """Whether two locked suites are the same but for fields that there were not before, and that say nothing."""
    try:
        old, new = json.loads(before), json.loads(now)
    except (ValueError, RecursionError):
        return False
    return bool(_said(new, old) == old)


def _said(new: Any, old: Any) -> Any:
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: _said(value, old.get(key)) for key, value in new.items() if key in old or value not in (None, {})}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [_said(*pair) for pair in zip(new, old, strict=True)]
    return new


def _keep_other(folder: Path, before: bytes) -> None:
    aside = folder / f"before-{sha256(before).hexdigest()[:8]}"
    for path in [*folder.glob("leaderboard*"), folder / LOCK]:
        if path.is_file() and not path.is_symlink():
            disk.make_directory(aside)
            disk.move(path, aside / path.name)
    log.warning("%s held the leaderboard of a suite that differs from this one: it is in %s now", folder, aside.name)


def _check_data(cells: Sequence[Cell], work: Plan, store: Store, root: Path) -> None:
    """Raise `DataError` for images that cannot be trained on, or are others than those of the results that are stored.

    They are read where something is left to compute, and where their key does not say what is in them.
    """
    needed = {(job.training.dataset, job.training.recipe.held_out) for job in work.jobs}
    for dataset, held_out in dict.fromkeys((cell.training.dataset, cell.training.recipe.held_out) for cell in cells):
        if (dataset, held_out) not in needed and dataset.by_content:
            continue
        splits = load_splits(dataset, root)
        splits.held_out(held_out, dataset.fingerprint)
        if not store.same_data(dataset.fingerprint, splits.sha256(), images=len(splits.test)):
            raise DataError(
                f"the images of {dataset.name} are others than those that results in {store.root} were computed with; "
                "put the old files back, or take another directory for results"
            )


def _executed(work: Plan, setting: Setting, options: Options) -> dict[str, CellResult | CellFailure]:
    """Run the jobs of a plan and return their results by the keys of cells.

    A job that fails as a whole costs its own cells, one that would fail everywhere is raised.
    """
    store = options.store
    results: dict[str, CellResult | CellFailure] = {}
    for cell in (cell for job in work.jobs for cell in job.cells) if options.force else ():
        store.discard(cell.key)
    for outcome in _outcomes(work, setting, options.executor):
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
        for cell in (cell for cell in job.cells if cell.key in result):
            results[cell.key] = _kept(cell, result[cell.key], store, trusted=isinstance(options.executor, OWN))
        setting.tell(Event(training=job.training.key, kind="finished"))
    return results


OWN = (Serial, Processes)
"""The executors that run jobs on this machine's disk, and bring back what is stored there."""


def _outcomes(work: Plan, setting: Setting, executor: Executor) -> Iterator[Outcome[Job, Results]]:
    """Yield what an executor brings back; raise `MissingError` for what is not the outcome of a job that it was given."""
    known = {job.training.key for job in work.jobs}
    try:
        for outcome in executor.map(partial(run_job, setting=setting), work.jobs):
            if not (isinstance(outcome, Outcome) and isinstance(outcome.item, Job) and _is_result(outcome.result)):
                raise TypeError(f"it brought back a {type(outcome).__name__} that is no outcome of a job")
            if outcome.item.training.key not in known:
                raise ValueError("it brought back a job that it was not given")
            yield outcome
    except (NrbenchError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a plugin's own, which may be an exit
        raise MissingError(
            f"the executor {executor.name} failed; what was finished is stored: {told(error)}"
        ) from error


def _is_result(value: object) -> bool:
    if isinstance(value, Failure):
        return value.kind in get_args(FailureKind) and isinstance(value.message, str)
    return isinstance(value, dict) and all(isinstance(each, CellResult | CellFailure) for each in value.values())


def _kept(cell: Cell, result: CellResult | CellFailure, store: Store, *, trusted: bool) -> CellResult | CellFailure:
    """Return the result of a cell that came from an executor, as it is stored from here on."""
    if isinstance(result, CellResult) and (reason := result.against(cell)):
        result = CellFailure(status="error", message=f"what the executor brought back cannot be: {reason}")
    if isinstance(result, CellFailure) or not store.has(cell.key):  # the worker may have no disk in common with us
        store.put(cell.key, result)
    return result if trusted else store.result_of(cell) or result
