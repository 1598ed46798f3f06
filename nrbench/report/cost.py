"""What trainings cost, as measured where they ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nrbench.base.component import Frozen
from nrbench.base.statistics import mean
from nrbench.families.sheet import Entry, Line, Sheet, heads
from nrbench.jobs.history import TrainingRecord
from nrbench.jobs.store import Store
from nrbench.suite.cell import Training
from nrbench.suite.suite import Benchmark

CLOSE = 0.02
"""By how much of themselves measured passes may differ from planned ones; beyond that the row says so."""
NOTE = (
    "Passes are forward and backward over a batch, for a training step; a forward pass is a third of one. State is what "
    "optimizer and method remember from step to step, in sizes of the weights: momentum is 1."
)


class Cost(Frozen):
    """What the training of a method costs on a backbone and a data set, mean over the seeds that were trained.

    Time depends on the machine and on what else ran there, so it is compared with nothing; `nrbench bench` does that.
    """

    method: str
    backbone: str
    dataset: str
    seconds: float
    """For the training steps of the epochs that were made."""
    epoch_seconds: float
    """For those of an epoch."""
    epochs: int
    """Of a whole training."""
    passes: float
    """Forward-backward passes of a step, as they were made."""
    planned: float
    """Those that a plan, and a budget of passes, counts with."""
    state_models: float | None
    """What optimizer and method remember between steps, in sizes of its parameters; None where it was not recorded."""

    @property
    def as_planned(self) -> bool:
        """Whether the passes are those that were planned, but for 2 %."""
        return abs(self.passes - self.planned) <= CLOSE * self.planned


def costs(benchmark: Benchmark, store: Store) -> list[Cost]:
    """Return what the trainings of a suite or collection cost, as far as they are stored."""
    found: dict[tuple[str, str, str, int], list[tuple[Training, TrainingRecord]]] = {}
    for part in benchmark.parts:
        for labels, training in part.own_trainings.items():
            record = store.training(training.key).record()
            if record.epochs:
                where = labels.method, labels.backbone, labels.dataset, training.epochs
                found.setdefault(where, []).append((training, record))
    return [_cost(*where, each) for where, each in found.items()]


def _cost(
    method: str, backbone: str, dataset: str, epochs: int, trained: Sequence[tuple[Training, TrainingRecord]]
) -> Cost:
    known = [record.state_models for _, record in trained if record.state_models is not None]
    return Cost(
        method=method,
        backbone=backbone,
        dataset=dataset,
        seconds=mean(sum(epoch.seconds for epoch in record.epochs) for _, record in trained),
        epoch_seconds=mean(mean(epoch.seconds for epoch in record.epochs) for _, record in trained),
        epochs=epochs,
        passes=mean(mean(epoch.passes_per_step for epoch in record.epochs) for _, record in trained),
        planned=trained[0][0].recipe.passes_of(trained[0][0].method),
        state_models=mean(known) if known else None,
    )


def cost_sheets(spent: Sequence[Cost]) -> Iterator[Sheet]:
    """Yield a sheet for each backbone and data set: epochs, passes as made and as planned, and state of each method."""
    for network in dict.fromkeys((cost.backbone, cost.dataset) for cost in spent):
        lines = [
            Line(
                cost.method,
                (
                    Entry(f"{cost.epochs}"),
                    Entry(f"{cost.passes:.2f}", () if cost.as_planned else ("not as planned",)),
                    Entry(f"{cost.planned:.2f}"),
                    Entry(f"{cost.epochs * cost.passes:.1f}"),
                    Entry("" if cost.state_models is None else f"{cost.state_models:.1f}"),
                ),
            )
            for cost in spent
            if (cost.backbone, cost.dataset) == network
        ]
        columns = heads("epochs", "passes a step", "planned", "passes in epochs of SGD", "state, in models")
        yield Sheet(f"What training costs: {' on '.join(network)}", "method", columns, tuple(lines), (NOTE,))
