"""Efficient SAM."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Method, Step, Weights
from nrbench_methods.vectors import ascent


class ESAM(Method):
    """SAM that moves each tensor with chance β, and differentiates the share γ of the images whose loss rises most.

    ε = ρ/β · g/‖g‖ over the tensors that are moved. The passes are one, a forward pass at w + ε, and γ of one. A
    ramp scales ρ, and not which images count.
    """

    name: Literal["esam"] = "esam"
    paper: ClassVar[str] = (
        "Du et al. 2022, Efficient Sharpness-aware Minimization for Improved Training of Neural Networks (eq. 6, 9)"
    )

    rho: float = Field(default=0.05, ge=0)
    """The length of the ascent step, on average over all tensors."""
    beta: float = Field(default=0.6, gt=0, le=1)
    """The chance of a tensor to be moved."""
    gamma: float = Field(default=0.5, gt=0, le=1)
    """The share of the images that the gradient is of."""

    def planned_passes(self) -> float:
        return 1 + 1 / 3 + self.gamma

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        clean = step.backward_each()
        delta = ascent(self._chosen(step, step.take_gradient()), self.rho / self.beta)
        with torch.no_grad():
            rises = step.losses(delta) - clean
        count = max(round(self.gamma * len(rises)), min(step.fewest, len(rises)), 1)
        return step.backward(delta, rows=rises.topk(count).indices.sort().values)

    def _chosen(self, step: Step, gradient: Weights) -> Weights:
        """Return the gradient with the tensors at 0 that are not moved."""
        chances = {name: step.chance.uniform(name, ()) for name in gradient}
        return {name: part * (chances[name] < self.beta).to(part) for name, part in gradient.items()}
