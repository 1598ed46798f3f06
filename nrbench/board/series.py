"""Series: what the probes of a suite measured, from the records of its trainings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from nrbench.families.claim import Series
from nrbench.jobs.history import EpochRecord
from nrbench.jobs.store import Store
from nrbench.suite.suite import Suite

Network = tuple[str, str]
"""A backbone and a data set, by their labels."""
Seeds = Sequence[Sequence[EpochRecord]]
"""The epochs of each seed."""


def stored_epochs(suite: Suite, store: Store) -> dict[tuple[Network, str], Seeds]:
    """Return what is stored of the epochs of every method's seeds, by network and method."""
    found: dict[tuple[Network, str], list[Sequence[EpochRecord]]] = {}
    for labels, training in suite.own_trainings.items():
        where = (labels.backbone, labels.dataset), labels.method
        found.setdefault(where, []).append(store.training(training.key).record().epochs)
    return dict(found)


def series_of(suite: Suite, store: Store) -> Iterator[Series]:
    """Yield the training loss, of the probe of no name, and all that the probes of a suite measured, in their order."""
    epochs = stored_epochs(suite, store)
    total = {
        ((labels.backbone, labels.dataset), labels.method): training.epochs
        for labels, training in suite.own_trainings.items()
    }
    for ((backbone, dataset), method), seeds in epochs.items():
        at, values = whole([[epoch.loss for epoch in each] for each in seeds])
        if at:
            labels = {"method": method, "backbone": backbone, "dataset": dataset}
            whole_training = total[(backbone, dataset), method]
            yield Series(probe="", number="loss", total=whole_training, epochs=at, by_seed=values, **labels)
    for label, probe in suite.probes.items():
        for ((backbone, dataset), method), seeds in epochs.items():
            measured = [[epoch.measured.get(probe.fingerprint, {}) for epoch in each] for each in seeds]
            for number in dict.fromkeys(name for each in measured for numbers in each for name in numbers):
                at, values = whole([[numbers.get(number) for numbers in each] for each in measured])
                if at:
                    labels = {"probe": label, "method": method, "backbone": backbone, "dataset": dataset}
                    whole_training = total[(backbone, dataset), method]
                    yield Series(number=number, total=whole_training, epochs=at, by_seed=values, **labels)


def whole(seeds: Sequence[Sequence[float | None]]) -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """Return the epochs at which every seed that has any has a finite value, and these values of each seed."""
    known = [values for values in seeds if any(value is not None for value in values)]
    at = [
        epoch
        for epoch, values in enumerate(zip(*known, strict=False), start=1)
        if all(value is not None and isfinite(value) for value in values)
    ]
    return tuple(at), tuple(tuple(values[epoch - 1] or 0.0 for epoch in at) for values in known)
