"""Friendly SAM."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Method, State, Step, Weights
from nrbench_methods.vectors import ascent


class FSAM(Method):
    """SAM that climbs along what is particular to a batch: ε = ρ · d / ‖d‖, d = g - σ·m, m a running mean of g; two passes.

    The first step has no mean before it and is SAM's. With σ = 1, as published, d = λ(g - m) of the mean before the step,
    which is what the authors' code subtracts.
    """

    name: Literal["fsam"] = "fsam"
    paper: ClassVar[str] = "Li et al. 2024, Friendly Sharpness-Aware Minimization (eq. 9, algorithm 1)"

    rho: float = Field(default=0.2, ge=0)
    """The length of the ascent step."""
    sigma: float = Field(default=1.0, ge=0)
    """The share of the mean that is taken away; 0 is SAM."""
    decay: float = Field(default=0.6, ge=0, lt=1)
    """λ: the share of the mean that a step keeps."""

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            step.state.clear()
            return step.backward()
        step.backward()
        return step.backward(ascent(self._particular(step.take_gradient(), step.state), self.rho))

    def _particular(self, gradient: Weights, state: State) -> Weights:
        """Return d and remember m."""
        found = {}
        for name, part in gradient.items():
            before = state.get(name)
            mean = state[name] = part.clone() if before is None else torch.lerp(part, before, self.decay)
            found[name] = part if before is None else torch.sub(part, mean, alpha=self.sigma)
        return found
