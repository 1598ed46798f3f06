"""Observing: what probes see of the steps of an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from nrbench.base.torch_state import unchanged
from nrbench.families.executor import Failure, attempt
from nrbench.families.probe import ObservedStep, Observer
from nrbench.families.step import Step


class Watch:
    """What observers see of an epoch: sums over its steps; one that raises sees no more of it."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._sums: dict[Observer, dict[str, Tensor] | Failure] = {observer: {} for observer in observers}
        self._steps = 0

    @property
    def sees(self) -> bool:
        """Whether anybody looks at any step."""
        return bool(self._sums)

    def __call__(self, step: Step, loss: Tensor) -> None:
        """Let every observer whose turn it is see a step whose gradient was found."""
        looking = [
            (observer, sums)
            for observer, sums in self._sums.items()
            if isinstance(sums, dict) and self._steps % observer.steps == 0
        ]
        self._steps += 1
        if not looking:
            return
        gradient = {n: p.grad.detach().clone() for n, p in step.model.named_parameters() if p.grad is not None}
        for observer, sums in looking:
            lent = ObservedStep(step, {n: tensor.clone() for n, tensor in gradient.items()}, loss.detach().clone())
            self._sums[observer] = attempt(partial(self._seen, observer, sums), lent)

    def _seen(self, observer: Observer, sums: dict[str, Tensor], step: ObservedStep) -> dict[str, Tensor]:
        with unchanged(observer.name, generators=False):
            found = observer.observed(step)
        numbers = {name: torch.as_tensor(value, dtype=torch.float64).detach() for name, value in found.items()}
        return {name: number + sums.get(name, 0.0) for name, number in numbers.items()}

    def means(self) -> dict[str, dict[str, float] | Failure]:
        """Return the means over the steps that each has seen."""
        return {
            observer.fingerprint: sums
            if isinstance(sums, Failure)
            else {name: float(total) / -(-self._steps // observer.steps) for name, total in sums.items()}
            for observer, sums in self._sums.items()
        }
