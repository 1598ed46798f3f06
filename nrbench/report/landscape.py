"""Landscapes of judged cells: the loss around the very weights that a row's numbers are from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nrbench.base.errors import MissingError, NrbenchError, UsageError
from nrbench.families.claim import Evidence, Series
from nrbench.families.executor import Failure
from nrbench.families.probe import GridProbe, Probe
from nrbench.families.registry import Registry
from nrbench.families.sheet import Figure
from nrbench.jobs.device import find_device
from nrbench.jobs.job import Job, Setting, run_job
from nrbench.jobs.plan import Options
from nrbench.jobs.results import CellResult
from nrbench.report.surfaces import Surface
from nrbench.suite.cell import Cell
from nrbench.suite.suite import Benchmark, Suite


@dataclass(frozen=True, slots=True)
class Judged:
    """A cell of a suite that has been judged, and what it is called."""

    label: str
    cell: Cell
    epoch: int


def judged_cells(suite: Benchmark, keys: Sequence[str], options: Options) -> list[Judged]:
    """Return the cells whose keys begin like these; raise `UsageError` for one that is not there, or has no weights."""
    every = {cell.key: (labels, cell) for part in suite.parts for labels, cell in _labelled(part)}
    found = []
    for start in keys:
        fitting = [key for key in every if key.startswith(start)]
        if len(fitting) != 1:
            raise UsageError(f"{len(fitting)} cells of {suite.name} have a key that begins with {start!r}")
        label, cell = every[fitting[0]]
        result = options.store.result_of(cell)
        if not isinstance(result, CellResult) or result.status != "ok":
            raise UsageError(
                f"cell {cell.key} has no weights: {'it was not judged' if result is None else result.status}"
            )
        if result.epoch:
            found.append(Judged(f"{label}, epoch {result.epoch}", cell, result.epoch))
        else:
            raise UsageError(f"cell {cell.key} was trained elsewhere: there is no epoch of it that could be measured")
    return found


def landscape_of(
    found: Sequence[Judged], fields: Mapping[str, Any], registry: Registry, options: Options
) -> tuple[list[Figure], list[Series]]:
    """Measure the loss around the weights of cells, as far as it is not stored, and return it drawn and as numbers.

    `fields` are those of the first probe of a grid that is registered, ours before others. What is measured is stored with
    its epoch, so that it is measured once. Raise `NrbenchError` for what could not be measured.
    """
    entries = sorted(registry.of_kind("probes"), key=lambda entry: entry.plugin.distribution != "nrbench")
    kind = next((entry.component for entry in entries if issubclass(entry.component, GridProbe)), None)
    if kind is None:
        raise MissingError("no probe of a grid around the weights is installed")
    probes = [kind.model_validate({**fields, "epochs": (each.epoch,)}) for each in found]
    setting = Setting(options.store.root, options.data_root, str(find_device(options.device)))
    jobs = [Job(each.cell.training, (), (probe,)) for each, probe in zip(found, probes, strict=True)]
    for outcome in options.executor.map(partial(run_job, setting=setting), jobs):
        if isinstance(outcome.result, Failure):
            raise outcome.result.refusal or NrbenchError(f"a landscape was not measured: {outcome.result.message}")
    series = [numbers for each, probe in zip(found, probes, strict=True) for numbers in _series(each, probe, options)]
    evidence = Evidence(
        (), {each.label: each.cell.training.method for each in found}, series=series, probes={"": probes[0]}
    )
    plot = Surface(probe="", seen="The loss around the weights of judged cells, in units of their length.")
    return [part for part in plot.parts(evidence) if isinstance(part, Figure)], series


def _labelled(suite: Suite) -> Iterator[tuple[str, Cell]]:
    for (column, method), cells in suite.rows.items():
        for seed, cell in enumerate(cells):
            yield f"{method}, {column.noise}, seed {seed}", cell


def _series(judged: Judged, probe: Probe, options: Options) -> list[Series]:
    record = options.store.training(judged.cell.training.key).record()
    epoch = record.epochs[judged.epoch - 1]
    if reason := epoch.failed.get(probe.fingerprint):
        raise NrbenchError(f"no landscape of {judged.label}: {reason}")
    training = judged.cell.training
    where = {"probe": "", "method": judged.label, "backbone": training.backbone.name, "dataset": training.dataset.name}
    return [
        Series(number=name, epochs=(judged.epoch,), by_seed=((value,),), **where)
        for name, value in epoch.measured[probe.fingerprint].items()
    ]
