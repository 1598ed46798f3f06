"""Training curves: the loss after each epoch, and what the suite's probes measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nrbench.base.statistics import mean, std
from nrbench.board.series import Seeds, series_of, stored_epochs, whole
from nrbench.families.claim import Series
from nrbench.families.probe import GridProbe
from nrbench.families.sheet import Figure
from nrbench.jobs.store import Store
from nrbench.report.drawing import drawn, plain, style
from nrbench.suite.suite import Benchmark

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 14
"""Networks with more methods are not drawn: nobody could tell the lines apart."""
MOST_PANELS, MOST_CURVES = 4, 24
"""Numbers of a probe that are drawn side by side, and their curves in all; the others are in probes.csv."""

Curve = tuple[Sequence[int], Sequence[Sequence[float]]]
"""Epochs, and the values of each seed at them."""


def training_curves(benchmark: Benchmark, store: Store) -> Iterator[Figure]:
    """Yield figures for each backbone and data set: the training loss by epoch, and each probe, as far as they are stored."""
    for part in benchmark.parts:
        epochs, series = stored_epochs(part, store), list(series_of(part, store))
        for network in dict.fromkeys(network for network, _ in epochs):
            own = {method: seeds for (where, method), seeds in epochs.items() if where == network}
            if len(own) <= MOST_LINES:
                yield from _loss(" on ".join(network), own)
                for label, probe in part.probes.items():
                    if isinstance(probe, GridProbe):  # its numbers are a place each, and a figure of its own kind
                        continue
                    here = [s for s in series if (s.probe, (s.backbone, s.dataset)) == (label, network)]
                    failed = sum(
                        probe.fingerprint in epoch.failed for each in own.values() for e in each for epoch in e
                    )
                    yield from _probe(label, " on ".join(network), here, failed)


def _loss(network: str, methods: Mapping[str, Seeds]) -> Iterator[Figure]:
    curves = {method: whole([[epoch.loss for epoch in each] for each in seeds]) for method, seeds in methods.items()}
    known = {method: curve for method, curve in curves.items() if len(curve[0]) > 1}
    if known:
        yield drawn(
            f"Training loss: {network}",
            f"Mean training loss in each epoch on {network}, as each method's own passes saw it; the bands are ± the "
            "standard deviation over seeds.",
            partial(_draw, panels={"training loss": known}),
        )


def _probe(label: str, network: str, series: Sequence[Series], failed: int) -> Iterator[Figure]:
    panels: dict[str, dict[str, Curve]] = {}
    most = max(1, min(MOST_PANELS, MOST_CURVES // max(1, len({each.method for each in series}))))
    for each in series:
        if each.number in panels or len(panels) < most:
            panels.setdefault(each.number, {})[each.method] = each.epochs, each.by_seed
    if panels:
        lost = f" {failed} measurements failed." if failed else ""
        yield drawn(
            f"{label}: {network}",
            f"{label} after each epoch on {network}, mean over seeds; the bands are ± the standard deviation.{lost}",
            partial(_draw, panels=panels),
            panels=len(panels),
            size=(3.6 * len(panels) + 2.6, 3.8),
            alike=False,
        )


def _draw(axes: Sequence[Axes], panels: Mapping[str, Mapping[str, Curve]]) -> None:
    methods = list(dict.fromkeys(method for curves in panels.values() for method in curves))
    for axis, (name, curves) in zip(axes, panels.items(), strict=True):
        for method, (epochs, seeds) in curves.items():
            how = style(methods.index(method))
            centres = [mean(values) for values in zip(*seeds, strict=True)]
            spreads = [std(values) or 0.0 for values in zip(*seeds, strict=True)]
            axis.plot(
                epochs,
                centres,
                label=plain(method),
                markersize=3,
                linewidth=1.2,
                markevery=-(-len(epochs) // 4),
                **how,
            )
            low, high = ([a + sign * b for a, b in zip(centres, spreads, strict=True)] for sign in (-1, 1))
            axis.fill_between(epochs, low, high, color=how["color"], alpha=0.15, linewidth=0)
        axis.set_xlabel("epoch")
        axis.set_title(plain(name), fontsize=9)
        axis.grid(alpha=0.3)
