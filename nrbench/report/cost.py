"""What a method's training cost, as measured where it ran."""

from __future__ import annotations

from nrbench.base.component import Frozen
from nrbench.base.statistics import mean
from nrbench.jobs.store import Store
from nrbench.suite.cell import Training
from nrbench.suite.suite import Benchmark, Suite

Place = tuple[str, str, str]
"""The labels of a method, a backbone and a data set."""


class Cost(Frozen):
    """Time for the training steps of a method on a backbone and a data set; it depends on the machine."""

    method: str
    backbone: str
    dataset: str
    seconds: float
    """Mean over the seeds that were trained."""
    relative: float | None
    """Divided by the time of the baseline, None when that is not known."""


def costs(benchmark: Benchmark, store: Store) -> dict[Place, Cost]:
    """Return what the trainings of a suite or collection cost, as far as they are stored."""
    spent: dict[Place, Cost] = {}
    for suite in benchmark.parts:
        spent = _costs(suite, store) | spent
    return spent


def _costs(suite: Suite, store: Store) -> dict[Place, Cost]:
    seconds: dict[Place, float] = {}
    for dataset, data in suite.datasets.items():
        for backbone, network in suite.backbones.items():
            for label, method in suite.methods.items():
                trainings = (Training(data, network, method, suite.recipe, seed) for seed in range(suite.seeds))
                records = (store.training(training.key).record() for training in trainings)
                times = [sum(epoch.seconds for epoch in record.epochs) for record in records if record.epochs]
                if times:
                    seconds[label, backbone, dataset] = mean(times)
    return {
        (method, backbone, dataset): Cost(
            method=method,
            backbone=backbone,
            dataset=dataset,
            seconds=time,
            relative=time / base if (base := seconds.get((suite.baseline, backbone, dataset))) else None,
        )
        for (method, backbone, dataset), time in seconds.items()
    }
