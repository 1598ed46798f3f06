"""Surrogate gap guided SAM."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from nrbench import Method, Step
from nrbench_methods.vectors import ascent, plus, product


class GSAM(Method):
    """SAM's gradient G, less α times the part of the gradient at w that is orthogonal to it; two passes.

    That part raises the gap between the loss at w + ε and at w and leaves the former as it is. ρ follows the learning
    rate from `rho` down to `rho_min`.
    """

    name: Literal["gsam"] = "gsam"
    paper: ClassVar[str] = (
        "Zhuang et al. 2022, Surrogate Gap Minimization Improves Sharpness-Aware Training (algorithm 1)"
    )

    rho: float = Field(default=0.04, ge=0)
    """The length of the ascent step at the optimizer's own learning rate; 0.04 and 0.02 are the authors' for ImageNet."""
    rho_min: float | None = Field(default=None, ge=0)
    """The length at a learning rate of 0; by default the same."""
    alpha: float = Field(default=0.4, ge=0)
    """The share of the orthogonal part; 0 is SAM."""

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.rho_min is not None and self.rho_min > self.rho:
            raise ValueError("rho_min is the length at the end and cannot be above rho")
        return self

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        step.backward()
        clean = step.take_gradient()
        low = self.rho if self.rho_min is None else self.rho_min
        loss = step.backward(ascent(clean, low + (self.rho - low) * step.clock.lr_factor))
        if self.alpha and clean:
            climbed = step.take_gradient()
            along = product(clean, climbed) / product(climbed, climbed).clamp_min(1e-30)
            orthogonal = plus(clean, climbed, -along)
            step.put_gradient(plus(climbed, orthogonal, -self.alpha))
        return loss
