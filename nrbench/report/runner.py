"""Running: from a suite to its leaderboard, computing only what is not stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from nrbench.base import disk
from nrbench.base.errors import DataError, UsageError
from nrbench.base.log import Event, RunLog, Watcher, followed
from nrbench.board.leaderboard import Leaderboard
from nrbench.families.dataset import load_splits
from nrbench.families.executor import Failure
from nrbench.families.registry import Registry, load_registry
from nrbench.jobs.device import find_device
from nrbench.jobs.job import Setting, run_job
from nrbench.jobs.lock import held
from nrbench.jobs.plan import LOCK, LOG, Options, Plan, plan
from nrbench.jobs.results import CellFailure, CellResult
from nrbench.report.page import Page
from nrbench.report.write import write_reports
from nrbench.suite.read import load_suite
from nrbench.suite.suite import Benchmark, find_suite

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
            splits = load_splits(dataset, options.data_root)
            splits.held_out(held_out, dataset.fingerprint)
            if not store.same_data(dataset.fingerprint, splits.sha256()):
                raise DataError(
                    f"the images of {dataset.name} are others than those that results in {store.root} were computed with; "
                    "put the old files back, or take another directory for results"
                )
        planned(suite, work)
        setting = Setting(store.root, options.data_root, str(device), options.force, folder / LOG)
        results = {**work.stored, **_executed(work, setting, options)}
        return write_reports(Leaderboard.of(suite, store, results), suite, store, folder)


def _executed(work: Plan, setting: Setting, options: Options) -> dict[str, CellResult | CellFailure]:
    """Run the jobs of a plan and return their results by the keys of cells.

    A job that fails as a whole costs its own cells, one that would fail everywhere is raised.
    """
    store = options.store
    results: dict[str, CellResult | CellFailure] = {}
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
        for key, one in result.items():
            if isinstance(one, CellFailure) or not store.has(key):  # the worker may have no disk in common with us
                store.put(key, one)
        results |= result
        setting.tell(Event(training=job.training.key, kind="finished"))
    return results
