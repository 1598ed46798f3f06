"""Fisher SAM."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Chance, Method, Perturbation, Step, Weights, displaced_backward
from nrbench_methods.vectors import product, times


class FisherAscent(Perturbation):
    """γ · F⁻¹g / √(gᵀF⁻¹g) with F⁻¹ = 1 / (1 + η·g²): a step in the ellipsoid of the Fisher information's diagonal."""

    name: Literal["fisher_ascent"] = "fisher_ascent"
    needs_gradient: ClassVar[bool] = True

    gamma: float = Field(ge=0)
    eta: float = Field(ge=0)

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        if not gradient:
            return {}
        parts = list(gradient.values())
        metric = torch._foreach_add(torch._foreach_mul(torch._foreach_mul(parts, parts), self.eta), 1.0)
        natural = dict(zip(gradient, torch._foreach_div(parts, metric), strict=True))
        return times(natural, self.gamma / (product(gradient, natural).sqrt() + 1e-12))


class FisherSAM(Method):
    """SAM in the ellipsoid of the Fisher information, whose diagonal is the square of the batch's gradient; two passes.

    Squared gradients are far below 1 as a rule, so that at η = 1 it is nearly SAM with ρ = γ. Formula and defaults are
    those of a re-implementation; the authors' settings were not at hand.
    """

    name: Literal["fisher_sam"] = "fisher_sam"
    paper: ClassVar[str] = "Kim et al. 2022, Fisher SAM: Information Geometry and Sharpness Aware Minimisation (eq. 7)"

    gamma: float = Field(default=0.1, ge=0)
    """The radius, in the norm of the Fisher information."""
    eta: float = Field(default=1.0, ge=0)
    """The weight of the Fisher information against the identity; 0 is SAM."""

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        return displaced_backward(step, FisherAscent(gamma=self.gamma, eta=self.eta))
