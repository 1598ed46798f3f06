"""Verifying: the stored weights of a suite judged again, and held against the counts that are stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch

from nrbench.base.chance import Chips
from nrbench.base.component import Frozen
from nrbench.families.executor import Failure
from nrbench.jobs.data import Data
from nrbench.jobs.device import computing
from nrbench.jobs.evaluate import Counts, evaluate
from nrbench.jobs.job import evaluation_network
from nrbench.jobs.plan import Options
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
    verdict: Literal["same", "different", "lost", "failed", "no result"]
    reason: str = ""
    """In what the counts differ, or why there are none."""


def verified(benchmark: Benchmark, options: Options, device: torch.device) -> Iterator[Verified]:
    """Yield every cell of a suite with what its stored weights give when they are judged again; nothing is written.

    Equal counts are equal integers, of every draw and of the same weights without noise.
    """
    store = Store(options.out / "store", untouched=True)
    names = benchmark.trainings()
    labels = {noise.fingerprint: label for label, noise in benchmark.section("noise").items()}
    groups: dict[str, list[Cell]] = {}
    for cell in benchmark.cells(only=options.only, exclude=options.exclude):
        groups.setdefault(cell.training.key, []).append(cell)
    for key, cells in groups.items():
        for cell, verdict, reason in _judged(cells, store, options, device):
            name = str(names[key])
            yield Verified(
                cell=cell.key, training=name, noise=labels[cell.noise.fingerprint], verdict=verdict, reason=reason
            )


Verdict = tuple[Cell, Literal["same", "different", "lost", "failed", "no result"], str]


def _judged(cells: list[Cell], store: Store, options: Options, device: torch.device) -> Iterator[Verdict]:
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
        data = Data.of(training, options.data_root, device)
        network, chips = evaluation_network(training, data), Chips(training.backbone.fingerprint, training.seed, device)
        for epoch, members in sorted(by_epoch.items()):
            weights = stored.weights(stored.record(), epoch)
            if weights is None:
                yield from ((cell, "lost", f"the weights of epoch {epoch} are not stored") for cell in members)
                continue
            for cell, counts in evaluate(members, network.load(weights), data, chips).items():
                yield (cell, *_compared(counts, results[cell]))


def _compared(counts: Counts | Failure, result: object) -> tuple[Literal["same", "different", "failed"], str]:
    assert isinstance(result, CellResult)
    if isinstance(counts, Failure):
        return "failed", counts.message
    if tuple(counts.correct) != result.correct:
        draws = [m for m, (now, then) in enumerate(zip(counts.correct, result.correct, strict=True)) if now != then]
        first = draws[0]
        return (
            "different",
            f"draw {first}: {counts.correct[first]} right, {result.correct[first]} stored ({len(draws)} draws)",
        )
    if counts.clean != result.clean_correct:
        return "different", f"without noise: {counts.clean} right, {result.clean_correct} stored"
    return "same", ""
