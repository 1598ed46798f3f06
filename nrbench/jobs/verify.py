"""Verifying: stored weights judged again, or trained again, and held against the counts that are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch

from nrbench.base.chance import Chips
from nrbench.base.component import Frozen
from nrbench.families.executor import Executor, Failure
from nrbench.jobs.data import Data
from nrbench.jobs.device import computing
from nrbench.jobs.evaluate import evaluate
from nrbench.jobs.job import Job, Setting, evaluation_network, run_job
from nrbench.jobs.results import CellResult
from nrbench.jobs.store import Store
from nrbench.suite.cell import Cell
from nrbench.suite.suite import Benchmark


class Verified(Frozen):
    """What a cell was found to be when its weights were judged again."""

    cell: str
    """Its key."""
    training: str
    """What people call its training."""
    noise: str
    verdict: Finding
    reason: str = ""
    """In what the counts differ, or why there are none."""


def verified(
    benchmark: Benchmark,
    cells: Iterable[Cell],
    store: Store,
    *,
    data: Path,
    device: torch.device,
    retrain: Executor | None = None,
) -> Iterator[Verified]:
    """Yield cells of a suite with what their stored weights give when they are judged again; the store is only read.

    With an executor to `retrain` on they are trained anew, in a store that is thrown away. Equal counts are equal integers,
    of every draw and of the same weights without noise.
    """
    names = benchmark.trainings()
    labels = {noise.fingerprint: label for label, noise in benchmark.section("noise").items()}
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.training.key, []).append(cell)
    found = (
        (verdict for members in groups.values() for verdict in _judged(members, store, data, device))
        if retrain is None
        else _retrained(list(groups.values()), store, data, device, retrain)
    )
    for cell, verdict, reason in found:
        name, noise = str(names[cell.training.key]), labels[cell.noise.fingerprint]
        yield Verified(cell=cell.key, training=name, noise=noise, verdict=verdict, reason=reason)


def _retrained(
    groups: Sequence[Sequence[Cell]], store: Store, data: Path, device: torch.device, executor: Executor
) -> Iterator[Verdict]:
    """Yield what trainings made anew count, group by group of the cells of one."""
    with TemporaryDirectory(prefix="nrbench-") as folder:
        setting = Setting(Path(folder), data, str(device))
        jobs = [Job(cells[0].training, tuple(cells)) for cells in groups]
        for outcome in executor.map(partial(run_job, setting=setting), jobs):
            results: Mapping[str, object] = outcome.result if isinstance(outcome.result, dict) else {}
            for cell in outcome.item.cells:
                now, then = results.get(cell.key, outcome.result), store.result_of(cell)
                if not isinstance(then, CellResult) or then.status != "ok":
                    yield cell, "no result", "" if then is None else then.status
                elif not isinstance(now, CellResult):
                    yield cell, "failed", getattr(now, "message", "")
                elif now.epoch != then.epoch:
                    yield cell, "different", f"epoch {now.epoch} was chosen, {then.epoch} stored"
                else:
                    yield (cell, *_compared(now.correct, now.clean_correct, then))


Finding = Literal["same", "different", "lost", "failed", "no result"]
Verdict = tuple[Cell, Finding, str]


def _judged(cells: Sequence[Cell], store: Store, root: Path, device: torch.device) -> Iterator[Verdict]:
    training = cells[0].training
    results = {cell: store.result_of(cell) for cell in cells}
    by_epoch: dict[int, list[Cell]] = {}
    for cell, result in results.items():
        if not isinstance(result, CellResult) or result.status != "ok":
            yield cell, "no result", "" if result is None else result.status
        else:
            by_epoch.setdefault(result.epoch, []).append(cell)
    if not by_epoch:
        return
    stored = store.training(training.key)
    with computing(training.recipe, device):
        data = Data.of(training, root, device)
        network, chips = evaluation_network(training, data), Chips(training.backbone.fingerprint, training.seed, device)
        for epoch, members in sorted(by_epoch.items()):
            weights = stored.weights(stored.record(), epoch)
            if weights is None:
                yield from ((cell, "lost", f"the weights of epoch {epoch} are not stored") for cell in members)
                continue
            for cell, counts in evaluate(members, network.load(weights), data, chips).items():
                result = results[cell]
                assert isinstance(result, CellResult)
                if isinstance(counts, Failure):
                    yield cell, "failed", counts.message
                else:
                    yield (cell, *_compared(counts.correct, counts.clean, result))


def _compared(correct: Sequence[int], clean: int, result: CellResult) -> tuple[Finding, str]:
    """Return whether counts of every draw and without noise are those of a result."""
    draws = [m for m, (now, then) in enumerate(zip(correct, result.correct, strict=True)) if now != then]
    if draws:
        first = draws[0]
        told = f"draw {first}: {correct[first]} right, {result.correct[first]} stored ({len(draws)} draws)"
        return "different", told
    if clean != result.clean_correct:
        return "different", f"without noise: {clean} right, {result.clean_correct} stored"
    return "same", ""
