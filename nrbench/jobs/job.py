"""A job: one training and its cells, from whatever of it is stored to all of its results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from math import nan
from pathlib import Path

import torch

from nrbench.base.chance import Chips
from nrbench.base.component import digest
from nrbench.base.errors import NrbenchError, StoreError, told
from nrbench.base.log import Event, RunLog, Watcher
from nrbench.base.torch_state import unchanged
from nrbench.families.analog import Layout
from nrbench.families.executor import Failure
from nrbench.families.loading import sha256_of
from nrbench.families.network import Network
from nrbench.families.probe import Observer, Probe, Scoring
from nrbench.jobs.data import Data
from nrbench.jobs.device import autocast, computing, environment
from nrbench.jobs.evaluate import Counts, evaluate, measure, unmeasured
from nrbench.jobs.history import is_due
from nrbench.jobs.lock import held
from nrbench.jobs.output import captured
from nrbench.jobs.processes import WORKER
from nrbench.jobs.record import Measure, Observe, Record, Weights
from nrbench.jobs.results import LARGEST, CellFailure, CellResult, Score
from nrbench.jobs.select import Selecting, correct
from nrbench.jobs.store import Store
from nrbench.jobs.stored import check_judged, check_trained
from nrbench.jobs.train import Trained, criterion, initial_model, train
from nrbench.suite.cell import Cell, Training


@dataclass(frozen=True)
class Job:
    """One training, those of its cells that have no result, and what is measured of its epochs."""

    training: Training
    cells: tuple[Cell, ...]
    probes: tuple[Probe, ...] = ()
    """What is measured of its epochs."""


Results = dict[str, CellResult | CellFailure]


@dataclass(frozen=True)
class Setting:
    """Where jobs read and write, and on what they compute; the same for all jobs of a run."""

    store: Path
    data: Path
    device: str = "cpu"
    fresh: bool = False
    """Whether stored trainings are ignored and made again."""
    log: Path | None = None
    """The run log, which every process adds to."""

    def own_device(self) -> torch.device:
        """Return the device of this job. A worker sees one of several GPUs, the one that belongs to its number."""
        device = torch.device(self.device)
        if device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with it alone
        if device.type != "cuda" or device.index is not None:
            return device
        if (worker := os.environ.get(WORKER)) is not None:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
            names = visible.split(",")
            os.environ["CUDA_VISIBLE_DEVICES"] = names[int(worker) % len(names)]  # read when CUDA is first used
        return torch.device("cuda", 0)

    def printed(self, job: Job) -> Path | None:
        """Return the file that keeps what a job prints, where there is a run log to keep it beside."""
        return None if self.log is None else self.log.parent / "logs" / f"{job.training.key}.log"

    def tell(self, event: Event) -> None:
        """Put an event into the run log."""
        if self.log is not None:
            RunLog(self.log).add(event)


def run_job(job: Job, setting: Setting) -> Results:
    """Train what is not trained, judge every cell, store a result for each and return them by key.

    What one cell's noise model or selection raises is that cell's failure; what the training raises is raised. A training
    that another process is at is waited for; what it leaves is taken as it is.
    """
    training, device, store = job.training, setting.own_device(), Store(setting.store)
    stored = store.training(training.key)
    with captured(setting.printed(job)), held(stored.root, wait=True), computing(training.recipe, device):
        results = {cell.key: known for cell in job.cells if (known := store.result_of(cell)) is not None}
        left = [cell for cell in job.cells if not isinstance(results.get(cell.key), CellResult)]
        if left or stored.record().left(job.probes, training.epochs):
            setting.tell(Event(training=training.key, kind="started"))
            data = Data.of(training, setting.data, device)
            record, observe = (
                Record(stored, training, device, fresh=setting.fresh and bool(left)),
                _observing(training, data),
            )
            for cell, result in _results(left, job.probes, data, record, observe, store, setting.tell) if left else ():
                store.put(cell.key, result)
                results[cell.key] = result
            record.measure_more(job.probes, observe)
    return results


def _observing(training: Training, data: Data) -> Observe:
    """Return what measures the probes that a suite asks for on weights of a training; what one raises is a record of it.

    Its network is built when there is something to measure.
    """

    @cache
    def beginning() -> tuple[Network, Weights]:
        network = evaluation_network(training, data)
        return network, {name: weight.clone() for name, weight in network.weights().items()}

    def observe(
        epoch: int, weights: Weights, before: Weights | None, probes: Sequence[Probe]
    ) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
        if not probes:
            return {}, {}
        (network, start), chips = beginning(), Chips(training.backbone.fingerprint, training.seed, data.device)
        here = replace(network.load(weights), start=start, before=start if epoch == 1 else before)
        found = measure(probes, here, data, chips)
        failed = {probe: reason for probe, each in found.items() if (reason := unmeasured(each))}
        return {probe: each for probe, each in found.items() if probe not in failed}, failed  # type: ignore[misc]

    return observe


def _results(
    cells: Sequence[Cell],
    probes: Sequence[Probe],
    data: Data,
    record: Record,
    observe: Observe,
    store: Store,
    tell: Watcher,
) -> Iterator[tuple[Cell, CellResult | CellFailure]]:
    """Yield every cell with its result, as soon as it has one: train and measure, choose an epoch, evaluate."""
    training = record.training
    network, selecting = evaluation_network(training, data), Selecting(cells)
    start = _start(network, data, training, store)
    chips = Chips(training.backbone.fingerprint, training.seed, data.device)

    def measured(weights: Weights, probes: Sequence[Probe]) -> dict[str, dict[str, float]]:
        sizes: dict[str, int] = {name: len(split) for name, split in data.splits.items()}
        return selecting.blame(measure(probes, network.load(weights), data, chips), sizes)

    if not record.measure_missing(selecting.probes, measured):
        record.restart()
    observed = _due(probes, record, observe)
    observers = [probe for probe in probes if isinstance(probe, Observer)]
    epochs = partial(_epochs, record, data, observers, network, start)
    weights = _chosen_weights(record, selecting, epochs, measured, observed, tell)
    choices = selecting.choose(record.epochs)
    for number, epoch in enumerate(sorted(weights, reverse=True)):
        here = [cell for cell, chosen in choices.items() if chosen == epoch]
        judged = evaluate(here, loaded := network.load(weights[epoch]), data, chips)
        if number == 0:
            known = (
                each.clean for cell, each in judged.items() if isinstance(each, Counts) and cell.batch_norm == "frozen"
            )
            clean = next(known, None)
            clean = loaded.counts(data.splits["test"]) if clean is None else clean
            check_judged(training, weights[epoch], data, epoch=epoch, clean=clean)
        for cell, counts in judged.items():
            if isinstance(counts, Failure):
                selecting.failures[cell] = counts
            else:
                yield cell, _result(counts, epoch, selecting.left[cell], record, data, start)
    for cell in selecting.left if record.diverged else ():
        yield cell, _result(Counts(clean=0, correct=[0] * cell.draws), 0, None, record, data, start)
    for cell, failure in selecting.failures.items():
        tell(Event(training=training.key, kind="failed", message=failure.message))
        yield cell, CellFailure(status=failure.kind, message=failure.message, traceback=failure.traceback)


def _start(network: Network, data: Data, training: Training, store: Store) -> str | None:
    """Return a hash of the first weights; raise `ValueError` where another process had others for the same network."""
    if not training.epochs:
        return None
    start = sha256_of(network.model)
    shape = tuple(data.train.images.shape[1:])
    here = environment(data.device).fingerprint
    of = digest([training.backbone.fingerprint, training.seed, data.num_classes, shape, here])
    if not store.same_start(of, start):
        raise ValueError(
            f"its first weights are others than another process had for seed {training.seed}: they depend on something else "
            "than torch's generator, such as the order of a set, the clock or a file"
        )
    return start


Due = Callable[[Trained, Weights], tuple[Mapping[str, dict[str, float]], Mapping[str, str]]]


def _due(probes: Sequence[Probe], record: Record, observe: Observe) -> Due:
    """Return what measures the probes that are due after an epoch, and adds what was observed of its steps."""
    epochs = record.training.epochs

    def measured(trained: Trained, weights: Weights) -> tuple[Mapping[str, dict[str, float]], Mapping[str, str]]:
        due = [probe for probe in probes if trained.epoch and is_due(probe, trained.epoch, epochs)]
        now = [probe for probe in due if not isinstance(probe, Observer)]
        before = record.weights(trained.epoch - 1) if now and trained.epoch > 1 else None
        found, failed = observe(trained.epoch, weights, before, now)
        wrong = {probe: reason for probe, each in trained.observed.items() if (reason := unmeasured(each))}
        seen = {
            probe: each for probe, each in trained.observed.items() if isinstance(each, dict) and probe not in wrong
        }
        return {**found, **seen}, {**failed, **wrong}

    return measured


def _chosen_weights(
    record: Record,
    selecting: Selecting,
    epochs: Callable[[], Iterator[tuple[Trained, Weights, float]]],
    measured: Measure,
    observed: Due,
    tell: Watcher,
) -> dict[int, Weights]:
    """Return the weights of every chosen epoch, none if the training diverged; train what is not trained."""
    for keep in (lambda epochs: selecting.choose(epochs).values(), None):
        for trained, weights, seconds in epochs():
            finite = abs(trained.loss) <= LARGEST
            loss = trained.loss if finite else None
            tell(Event(training=record.training.key, kind="epoch", epoch=trained.epoch, loss=loss))
            if not finite:
                record.diverge()
                return {}
            numbers = measured(weights, selecting.probes()) if trained.epoch else {}
            more, failed = observed(trained, weights)
            record.add(trained, weights, measured={**more, **numbers}, failed=failed, seconds=seconds, keep=keep)
            if not selecting.left:
                return {}
        if record.diverged:
            return {}
        found = {epoch: record.weights(epoch) for epoch in set(selecting.choose(record.epochs).values())}
        whole = {epoch: weights for epoch, weights in found.items() if weights is not None}
        if len(whole) == len(found):
            return whole
        record.restart()  # weights are damaged, or a rule went back to an epoch that nobody had kept: keep all of them
    raise StoreError(f"the weights of training {record.training.key} do not last")


def _epochs(
    record: Record, data: Data, observers: Sequence[Observer], network: Network, start: str | None
) -> Iterator[tuple[Trained, Weights, float]]:
    """Yield the network after every epoch that is left to train, the weights that it is judged by, and the epoch's seconds.

    The weights are none where the loss is not finite.
    """
    if record.finished:
        return
    training = record.training
    epochs = train(training, data, checkpoint=record.resumed(), observers=observers, start=start)
    while True:
        begun = time.perf_counter()
        try:
            with unchanged(training.method.name, generators=False):
                trained = next(epochs, None)
        except NrbenchError as error:  # a method's own refuses this training, and no other
            raise RuntimeError(told(error)) from error
        if trained is None:
            return
        seconds = time.perf_counter() - begun
        weights: Weights = {}
        if abs(trained.loss) <= LARGEST:
            with unchanged(training.method.name, generators=False):
                weights = trained.weights()
            if trained.epoch == training.epochs and not check_trained(trained, network.load(weights), data):
                trained = replace(trained, loss=nan)
        yield trained, weights, seconds


def evaluation_network(training: Training, data: Data) -> Network:
    """Return the network of a training in evaluation mode, to be loaded with weights."""
    recipe, model = training.recipe, initial_model(training, data)
    return Network(
        model=model,
        prepare=data.for_network(model).normalise,
        criterion=criterion(recipe),
        batch=recipe.evaluation_batch,
        autocast=autocast(recipe, data.device),
        layout=Layout.of(model, training.backbone.stored(model)),
    )


def _result(
    counts: Counts, epoch: int, scoring: Scoring | None, record: Record, data: Data, start: str | None
) -> CellResult:
    epochs = record.epochs
    score = None
    if scoring is not None and epoch:
        score = Score(correct=correct(scoring, epochs[epoch - 1]), images=len(data.splits[scoring.on]))
    return CellResult(
        status="diverged" if record.diverged else "ok",
        correct=tuple(counts.correct),
        images=len(data.splits["test"]),
        epoch=epoch,
        clean_correct=counts.clean,
        training=record.training.key,
        start=start,
        chosen_with=score,
        displacement_norm=_mean(counts.displacement_norms),
        weight_norm=_mean([] if counts.weight_norm is None else [counts.weight_norm]),
        epochs=len(epochs),
        loss=epochs[-1].loss if epochs and not record.diverged else None,
        passes_per_step=_mean([each.passes_per_step for each in epochs]) or 0.0,
        environments=record.environments,
    )


def _mean(values: Sequence[float]) -> float | None:
    mean = sum(values) / len(values) if values else None
    return mean if mean is not None and abs(mean) <= LARGEST else None
