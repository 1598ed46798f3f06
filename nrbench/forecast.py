"""The forecast: what is left of a suite, in trainings, passes, seconds and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from nrbench.component import Frozen
from nrbench.dataset import load_splits
from nrbench.report.cost import costs
from nrbench.runner import Plan
from nrbench.statistics import t_quantile
from nrbench.store import Store
from nrbench.suite import Suite


class Forecast(Frozen):
    """What a run would do; the numbers are of what is not stored yet."""

    trainings: int
    cells: int
    """Cells to compute."""
    cached_cells: int
    """Cells that have a result."""
    failed_cells: int
    """Cells whose stored failure stands unless failures are retried."""
    passes: float
    """Epochs of training times the passes of each step: forward-backward passes over the training set, SGD's being 1."""
    noisy_passes: int
    """Forward passes over the test set for the report draws."""
    seconds: float | None
    """Time on one worker: for the training, from what this suite's trainings took here before, None when none did; where a
    plan measures, for training and judging, from a few real steps."""
    disk_bytes: int | None
    """Room for the weights that stay stored; None when a data set is not there."""
    resolution: float | None
    """Standard errors a paired difference must span to be told from zero at 95 % with so many seeds; None for one."""

    def described(self) -> Iterator[tuple[str, str]]:
        """Yield every number with its name, for people."""
        yield "trainings", f"{self.trainings}"
        yield "cells to compute", f"{self.cells}"
        yield "cells stored", f"{self.cached_cells}"
        if self.failed_cells:
            yield "cells that failed before", f"{self.failed_cells}"
        yield "epochs of forward-backward passes", f"{self.passes:g}"
        yield "noisy passes over the test sets", f"{self.noisy_passes}"
        yield (
            "time on one worker",
            "unknown until something was trained, or --measure" if self.seconds is None else f"{self.seconds:.0f} s",
        )
        yield "disk", "unknown" if self.disk_bytes is None else f"{self.disk_bytes / 2**20:.1f} MiB"
        if self.resolution is not None:
            yield "a difference is resolved beyond", f"{self.resolution:.2f} standard errors over seeds"


def forecast(suite: Suite, plan: Plan, store: Store, data: Path) -> Forecast:
    """Return what is left to do for a plan; nothing is trained, and no weights are made."""
    spent = costs(suite, store)
    labels = {
        (suite.methods[m].fingerprint, suite.backbones[b].fingerprint, suite.datasets[d].fingerprint): cost.seconds
        for (m, b, d), cost in spent.items()
    }
    seconds, passes = 0.0, 0.0
    known = True
    for job in plan.jobs:
        training = job.training
        key = (training.method.fingerprint, training.backbone.fingerprint, training.dataset.fingerprint)
        known = known and key in labels
        seconds += labels.get(key, 0.0)
        passes += training.recipe.epochs * training.method.planned_passes()
    return Forecast(
        trainings=len(plan.jobs),
        cells=plan.missing,
        cached_cells=len(plan.cells) - plan.missing - len(plan.failed),
        failed_cells=len(plan.failed),
        passes=passes,
        noisy_passes=sum(cell.draws for job in plan.jobs for cell in job.cells if cell.noise.random),
        seconds=seconds if known else None,
        disk_bytes=_disk(plan, data),
        resolution=t_quantile(suite.seeds) if suite.seeds > 1 else None,
    )


def _disk(plan: Plan, data: Path) -> int | None:
    sizes: dict[tuple[str, str], int] = {}
    total = 0
    try:
        for job in plan.jobs:
            training = job.training
            key = (training.backbone.fingerprint, training.dataset.fingerprint)
            if key not in sizes:
                splits = load_splits(training.dataset, data)
                with torch.device("meta"):
                    model = training.backbone.build(num_classes=splits.num_classes, input_shape=splits.input_shape)
                sizes[key] = sum(tensor.nbytes for tensor in model.state_dict().values())
            all_epochs = training.recipe.epochs * sizes[key]
            kept = all_epochs if all_epochs <= training.recipe.keep_epochs else sizes[key] * (len(job.cells) + 1)
            total += kept + 2 * sizes[key]  # a checkpoint also holds the momentum
    except Exception:  # a run will say what is wrong; a plan says what it can
        return None
    return total
