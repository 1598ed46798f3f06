"""Noise on the gradient."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Method, Step


class GradientNoise(Method):
    """Normal noise of variance η / (1 + t)^γ on the gradient, after it is clipped and before momentum; one pass.

    The control for noise by itself, which says nothing about the loss at other weights.
    """

    name: Literal["gradient_noise"] = "gradient_noise"
    paper: ClassVar[str] = (
        "Neelakantan et al. 2015, Adding Gradient Noise Improves Learning for Very Deep Networks (eq. 1)"
    )

    eta: float = Field(default=0.01, ge=0)
    """The variance at the first step; the paper tries 0.01, 0.3 and 1."""
    gamma: float = Field(default=0.55, ge=0, le=10)
    """How fast it falls with the number t of the step."""

    def backward(self, step: Step) -> Tensor:
        return step.backward()

    def update(self, step: Step) -> None:
        spread = step.strength * (self.eta / (1 + step.clock.step) ** self.gamma) ** 0.5
        for name, p in step.model.named_parameters() if spread else ():
            if p.grad is not None:
                p.grad.add_(step.chance.normal(name, p.shape).to(p.dtype), alpha=spread)
        super().update(step)
