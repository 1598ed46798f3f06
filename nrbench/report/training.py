"""Training curves: the loss after each epoch, and what the suite's probes measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

from nrbench.base.statistics import mean, std
from nrbench.families.sheet import Figure
from nrbench.jobs.store import EpochRecord, Store
from nrbench.report.drawing import drawn, plain, style
from nrbench.suite.suite import Benchmark, Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 14
"""Networks with more methods are not drawn: nobody could tell the lines apart."""
MOST_PANELS = 4
"""Numbers of a probe that are drawn side by side; the others are in probes.csv."""

Curve = Sequence[tuple[int, Sequence[float]]]
"""Epochs, each with the values of its seeds."""


def training_curves(benchmark: Benchmark, store: Store) -> Iterator[Figure]:
    """Yield figures for each backbone and data set: the training loss by epoch, and each probe, as far as they are stored."""
    for part in benchmark.parts:
        epochs = _epochs(part, store)
        for network in dict.fromkeys(network for network, _ in epochs):
            own = {method: seeds for (where, method), seeds in epochs.items() if where == network}
            if len(own) <= MOST_LINES:
                yield from _loss(network, own)
                yield from _probes(part, network, own)


Seeds = Sequence[Sequence[EpochRecord]]
"""The epochs of each seed."""


def _epochs(suite: Suite, store: Store) -> dict[tuple[str, str], Seeds]:
    """Return what is stored of the epochs of every method's seeds, by network and method."""
    found: dict[tuple[str, str], list[Sequence[EpochRecord]]] = {}
    for labels, training in suite.own_trainings.items():
        where = f"{labels.backbone} on {labels.dataset}", labels.method
        found.setdefault(where, []).append(store.training(training.key).record().epochs)
    return dict(found)


def _loss(network: str, methods: Mapping[str, Seeds]) -> Iterator[Figure]:
    curves = {method: _curve([[epoch.loss for epoch in each] for each in seeds]) for method, seeds in methods.items()}
    known = {method: curve for method, curve in curves.items() if len(curve) > 1}
    if known:
        yield drawn(
            f"Training loss: {network}",
            f"Mean training loss in each epoch on {network}, as each method's own passes saw it; the bands are ± the "
            "standard deviation over seeds.",
            partial(_draw, panels={"training loss": known}),
        )


def _probes(suite: Suite, network: str, methods: Mapping[str, Seeds]) -> Iterator[Figure]:
    for label, probe in suite.probes.items():
        panels: dict[str, dict[str, Curve]] = {}
        for method, seeds in methods.items():
            measured = [[epoch.measured.get(probe.fingerprint, {}) for epoch in each] for each in seeds]
            for name in dict.fromkeys(name for each in measured for numbers in each for name in numbers):
                curve = _curve([[numbers.get(name) for numbers in each] for each in measured])
                if curve and (name in panels or len(panels) < MOST_PANELS):
                    panels.setdefault(name, {})[method] = curve
        if panels:
            failed = sum(probe.fingerprint in epoch.failed for seeds in methods.values() for e in seeds for epoch in e)
            lost = f" {failed} measurements failed." if failed else ""
            yield drawn(
                f"{label}: {network}",
                f"{label} after each epoch on {network}, mean over seeds; the bands are ± the standard deviation.{lost}",
                partial(_draw, panels=panels),
                panels=len(panels),
                size=(3.6 * len(panels) + 2.6, 3.8),
                alike=False,
            )


def _curve(seeds: Sequence[Sequence[float | None]]) -> Curve:
    """Return the epochs at which every seed that has any has a finite value."""
    whole = [values for values in seeds if values and any(value is not None for value in values)]
    at = [(epoch, values) for epoch, values in enumerate(zip(*whole, strict=False), start=1)]
    return [
        (epoch, [v for v in values if v is not None])
        for epoch, values in at
        if all(value is not None and isfinite(value) for value in values)
    ]


def _draw(axes: Sequence[Axes], panels: Mapping[str, Mapping[str, Curve]]) -> None:
    methods = list(dict.fromkeys(method for curves in panels.values() for method in curves))
    for axis, (name, curves) in zip(axes, panels.items(), strict=True):
        for method, curve in curves.items():
            how = style(methods.index(method))
            epochs = [epoch for epoch, _ in curve]
            centres = [mean(values) for _, values in curve]
            spreads = [std(values) or 0.0 for _, values in curve]
            axis.plot(epochs, centres, label=plain(method), markersize=3, linewidth=1.2, **how)
            low, high = ([a + sign * b for a, b in zip(centres, spreads, strict=True)] for sign in (-1, 1))
            axis.fill_between(epochs, low, high, color=how["color"], alpha=0.15, linewidth=0)
        axis.set_xlabel("epoch")
        axis.set_title(plain(name), fontsize=9)
        axis.grid(alpha=0.3)
