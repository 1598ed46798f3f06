"""Training curves: the loss after each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

from nrbench.base.statistics import mean, std
from nrbench.families.sheet import Figure
from nrbench.jobs.store import Store
from nrbench.report.drawing import drawn, plain, style
from nrbench.suite.suite import Benchmark

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 14
"""Networks with more methods are not drawn: nobody could tell the lines apart."""

Losses = Sequence[Sequence[float]]
"""Of each epoch, the loss of each seed."""


def training_curves(benchmark: Benchmark, store: Store) -> Iterator[Figure]:
    """Yield a figure for each backbone and data set: the training loss by epoch, as far as trainings are stored."""
    keys: dict[str, dict[str, list[str]]] = {}
    for key, labels in benchmark.trainings().items():
        network = f"{labels.backbone} on {labels.dataset}"
        keys.setdefault(network, {}).setdefault(labels.method, []).append(key)
    for network, methods in keys.items():
        if len(methods) <= MOST_LINES:
            curves = {method: _losses(store, own) for method, own in methods.items()}
            known = {method: losses for method, losses in curves.items() if len(losses) > 1}
            if known:
                yield drawn(
                    f"Training loss: {network}",
                    f"Mean training loss in each epoch on {network}, as each method's own passes saw it; the bands are ± the "
                    "standard deviation over seeds.",
                    partial(_draw, curves=known),
                )


def _losses(store: Store, keys: Sequence[str]) -> Losses:
    records = [[epoch.loss for epoch in store.training(key).record().epochs] for key in keys]
    whole = [losses for losses in records if losses and all(map(isfinite, losses))]
    return [*zip(*whole, strict=False)]


def _draw(axes: Sequence[Axes], curves: Mapping[str, Losses]) -> None:
    (axis,) = axes
    for number, (method, losses) in enumerate(curves.items()):
        how = style(number)
        epochs = range(1, len(losses) + 1)
        centres = [mean(each) for each in losses]
        spreads = [std(each) or 0.0 for each in losses]
        axis.plot(epochs, centres, label=plain(method), markersize=3, linewidth=1.2, **how)
        low, high = ([a + sign * b for a, b in zip(centres, spreads, strict=True)] for sign in (-1, 1))
        axis.fill_between(epochs, low, high, color=how["color"], alpha=0.15, linewidth=0)
    axis.set_xlabel("epoch")
    axis.set_ylabel("training loss")
    axis.grid(alpha=0.3)
