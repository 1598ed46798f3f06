"""Multiplicative noise on the weights."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Chance, Method, Perturbation, Step, Weights, displaced_backward
from nrbench_methods.vectors import displaced, passes_in_parts


class RelativeNoise(Perturbation):
    """w · z of every parameter, z being standard normal."""

    name: Literal["relative_noise"] = "relative_noise"

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        return {
            name: weight * chance.normal(name, weight.shape).to(weight.dtype)
            for name, weight in displaced(weights).items()
        }


class DAMP(Method):
    """The gradient at w · (1 + σz), of parts of the batch with noise of their own; one pass.

    The defaults are from memory of the paper.
    """

    name: Literal["damp"] = "damp"
    paper: ClassVar[str] = (
        "Trinh et al. 2024, Improving Robustness to Corruptions with Multiplicative Weight Perturbations"
    )

    sigma: float = Field(default=0.2, ge=0)
    """The standard deviation, as a share of each weight."""
    samples: int = Field(default=8, ge=1)
    """Into how many parts the batch is cut."""

    def planned_passes(self) -> float:
        return passes_in_parts(self.samples if self.sigma else 1)

    def backward(self, step: Step) -> Tensor:
        return displaced_backward(step.scaled(self.sigma), RelativeNoise(), samples=self.samples)
