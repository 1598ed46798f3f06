"""Sharpness-aware minimisation."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Chance, Method, Perturbation, Step, Weights, displaced_backward
from nrbench_methods.vectors import ascent


class GradientAscent(Perturbation):
    """One step of length rho along the gradient, in one Euclidean norm over all weights: rho · g / ‖g‖."""

    name: Literal["gradient_ascent"] = "gradient_ascent"
    needs_gradient: ClassVar[bool] = True

    rho: float = Field(ge=0)

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        return ascent(gradient or {}, self.rho)


class SAM(Method):
    """The gradient at the point a step of length rho up the batch's own gradient; two passes.

    Weight decay acts at w, in the optimizer, and not in the ascent.
    """

    name: Literal["sam"] = "sam"
    paper: ClassVar[str] = (
        "Foret et al. 2021, Sharpness-Aware Minimization for Efficiently Improving Generalization (eq. 2)"
    )

    rho: float = Field(default=0.05, ge=0)
    """The length of the ascent step, a Euclidean norm over all weights."""

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        return displaced_backward(step, GradientAscent(rho=self.rho))
