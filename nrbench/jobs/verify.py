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
from nrbench.families.executor import Executor, Failure, attempt
from nrbench.families.loading import difference, stored_tensors
from nrbench.families.network import Network
from nrbench.jobs.data import Data
from nrbench.jobs.device import computing
from nrbench.jobs.evaluate import evaluate, measure
from nrbench.jobs.job import Job, Setting, evaluation_network, run_job
from nrbench.jobs.results import CellResult, Score
from nrbench.jobs.store import Store
from nrbench.suite.cell import Cell, Training
from nrbench.suite.suite import Benchmark

Finding = Literal["same", "different", "lost", "failed", "no result"]
Verdict = tuple[Cell, Finding, str]


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
            if isinstance(outcome.result, Failure) and outcome.result.refusal is not None:
                raise outcome.result.refusal  # something that the machine lacks says nothing of the counts
            results: Mapping[str, object] = outcome.result if isinstance(outcome.result, dict) else {}
            for cell in outcome.item.cells:
                now, then = results.get(cell.key, outcome.result), store.result_of(cell)
                if not isinstance(then, CellResult):
                    yield cell, "no result", "" if then is None else then.status
                elif not isinstance(now, CellResult):
                    yield cell, "failed", getattr(now, "message", "")
                else:
                    yield (cell, *_compared(now, then))


def _judged(cells: Sequence[Cell], store: Store, root: Path, device: torch.device) -> Iterator[Verdict]:
    training, stored = cells[0].training, store.training(cells[0].training.key)
    by_epoch: dict[int, dict[Cell, CellResult]] = {}
    for cell in cells:
        result = store.result_of(cell)
        if isinstance(result, CellResult) and result.status == "ok":
            by_epoch.setdefault(result.epoch, {})[cell] = result
        else:
            yield cell, "no result", "" if result is None else result.status
    weights = {epoch: stored.weights(stored.record(), epoch) for epoch in by_epoch}
    known = {epoch: tensors for epoch, tensors in weights.items() if tensors is not None}
    for epoch in sorted(by_epoch.keys() - known.keys()):
        yield from ((cell, "lost", f"the weights of epoch {epoch} are not stored") for cell in by_epoch[epoch])
    if not known:
        return
    with computing(training.recipe, device):
        data = Data.of(training, root, device)
        network = attempt(partial(_network, training, data), next(iter(known.values())))
        for epoch in sorted(known):
            for cell, now in _results_of(by_epoch[epoch], network, known[epoch], training, data):
                if isinstance(now, Failure):
                    yield cell, "failed", now.message
                else:
                    yield (cell, *_compared(now, by_epoch[epoch][cell]))


def _network(training: Training, data: Data, weights: Mapping[str, torch.Tensor]) -> Network:
    """Return the network of a training; raise `ValueError` before it takes any memory if these weights are of another one."""
    shape = data.splits["test"].images.shape[1:]
    with torch.device("meta"):
        model = training.backbone.build(num_classes=data.num_classes, input_shape=(shape[0], shape[1], shape[2]))
    if message := difference(stored_tensors(model), weights):
        raise ValueError(f"weights of another network: {message}")
    return evaluation_network(training, data)


def _results_of(
    cells: Mapping[Cell, CellResult],
    network: Network | Failure,
    weights: Mapping[str, torch.Tensor],
    training: Training,
    data: Data,
) -> Iterator[tuple[Cell, CellResult | Failure]]:
    """Yield the stored results with what the weights of their epoch give here in the place of what they say."""
    loaded = network if isinstance(network, Failure) else attempt(network.load, weights)
    if isinstance(loaded, Failure):
        yield from ((cell, loaded) for cell in cells)
        return
    chips = Chips(training.backbone.fingerprint, training.seed, data.device)
    scorings = {cell: cell.selection.scoring(cell.noise) for cell, then in cells.items() if then.chosen_with}
    scores = measure(dict.fromkeys(filter(None, scorings.values())), loaded, data, chips)
    for cell, counts in evaluate(list(cells), loaded, data, chips).items():
        if isinstance(counts, Failure):
            yield cell, counts
            continue
        scoring, then = scorings.get(cell), cells[cell]
        found = scores.get(scoring.fingerprint) if scoring else None
        chosen_with = None
        if scoring and isinstance(found, dict):
            chosen_with = Score(correct=int(found["correct"]), images=len(data.splits[scoring.on]))
        yield (
            cell,
            then.replace(
                correct=tuple(counts.correct),
                clean_correct=counts.clean,
                images=len(data.splits["test"]),
                chosen_with=chosen_with,
            ),
        )


def _compared(now: CellResult, then: CellResult) -> tuple[Finding, str]:
    """Return whether a result is the stored one, but for what depends on the machine, and in what it is not."""
    for field, name in (
        ("status", "status"),
        ("epoch", "epoch"),
        ("epochs", "epochs trained"),
        ("images", "images"),
        ("chosen_with", "right among the images that the epoch was chosen on"),
        ("passes_per_step", "passes per step"),
    ):
        here, there = getattr(now, field), getattr(then, field)
        if here != there:
            return "different", f"{name}: {_told(here)}, {_told(there)} stored"
    pairs = zip(now.correct, then.correct, strict=False)
    draws = [number for number, (here, there) in enumerate(pairs) if here != there]
    if draws:
        first = draws[0]
        told = f"draw {first}: {now.correct[first]} right, {then.correct[first]} stored ({len(draws)} draws)"
        return "different", told
    if len(now.correct) != len(then.correct):
        return "different", f"{len(now.correct)} draws, {len(then.correct)} stored"
    if now.clean_correct != then.clean_correct:
        return "different", f"without noise: {now.clean_correct} right, {then.clean_correct} stored"
    return "same", ""


def _told(value: object) -> str:
    return f"{value.correct} of {value.images}" if isinstance(value, Score) else str(value)
