"""The components that come with the core."""

from __future__ import annotations

from collections.abc import Iterable

from nrbench.base.component import Component
from nrbench.families.executor import Serial
from nrbench.families.hookspecs import hookimpl
from nrbench.families.optimizer import AdamW, Sgd
from nrbench.families.probe import Scoring
from nrbench.families.schedule import (
    Between,
    Constant,
    Cosine,
    CosineRamp,
    Falling,
    LearningRate,
    Linear,
    OffToOn,
    Product,
    Quadratic,
    Steps,
)
from nrbench.families.selection import BestEpoch, Last
from nrbench.jobs.processes import Processes
from nrbench.report.plots import Bars, BestOfGroups, Curve, Scatter, Trajectory
from nrbench.report.sections import Differences, Tail, TradeOff
from nrbench.report.surfaces import Surface


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The neutral components of the core, and the executors of one machine."""
    return [
        Constant,
        Linear,
        Quadratic,
        OffToOn,
        Cosine,
        CosineRamp,
        LearningRate,
        Steps,
        Between,
        Falling,
        Product,
        Last,
        BestEpoch,
        Sgd,
        AdamW,
        Scoring,
        Serial,
        Processes,
        Differences,
        TradeOff,
        Tail,
        Curve,
        Trajectory,
        Scatter,
        BestOfGroups,
        Bars,
        Surface,
    ]
