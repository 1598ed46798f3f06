"""What trainings cost, as measured where they ran."""

from __future__ import annotations

from nrbench.base.component import Frozen
from nrbench.base.statistics import mean
from nrbench.jobs.store import Store
from nrbench.suite.suite import Benchmark


class Cost(Frozen):
    """Time for the training steps of a method on a backbone and a data set.

    It depends on the machine and on what else ran there, so it is compared with nothing; `nrbench bench` does that.
    """

    method: str
    backbone: str
    dataset: str
    seconds: float
    """Mean over the seeds that were trained."""


def costs(benchmark: Benchmark, store: Store) -> list[Cost]:
    """Return what the trainings of a suite or collection cost, as far as they are stored."""
    seconds: dict[tuple[str, str, str], list[float]] = {}
    for key, labels in benchmark.trainings().items():
        epochs = store.training(key).record().epochs
        if epochs:
            spent = seconds.setdefault((labels.method, labels.backbone, labels.dataset), [])
            spent.append(sum(epoch.seconds for epoch in epochs))
    return [
        Cost(method=method, backbone=backbone, dataset=dataset, seconds=mean(spent))
        for (method, backbone, dataset), spent in seconds.items()
    ]
