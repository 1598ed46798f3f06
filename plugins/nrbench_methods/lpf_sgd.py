"""Low-pass filtering SGD."""

from math import cos, pi
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Chance, Method, Perturbation, Step, Weights, displaced_backward
from nrbench_methods.vectors import displaced, filter_norms, passes_in_parts


class FilterNoise(Perturbation):
    """Normal noise of standard deviation γ · ‖W[f]‖ in each filter, γ · ‖v‖ in a vector, of all parameters."""

    name: Literal["filter_noise"] = "filter_noise"

    gamma: float = Field(ge=0)

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        moved = displaced(weights)
        norms = filter_norms(moved)
        return {
            name: self.gamma * norms[name] * chance.normal(name, weight.shape).to(weight.dtype)
            for name, weight in moved.items()
        }


class LPFSGD(Method):
    """The gradient at weights under noise of each filter's size, of M parts of the batch with noise of their own; one pass.

    σ of RWP, in units of a filter's largest weight, is γ · ‖W[f]‖ / max|W[f]|: about γ · √n / 5 for n normal weights.
    """

    name: Literal["lpf_sgd"] = "lpf_sgd"
    paper: ClassVar[str] = (
        "Bisla et al. 2022, Low-Pass Filtering SGD for Recovering Flat Optima in the Deep Learning Optimization Landscape"
    )

    gamma: float = Field(default=0.002, ge=0)
    """γ₀: the standard deviation, in norms of a filter."""
    samples: int = Field(default=1, ge=1)
    """M: into how many parts the batch is cut."""
    increase: float = Field(default=1.0, ge=0)
    """α: by how much γ grows in the course of the training, γ₀ · (1 + (α - 1) · ½(1 - cos πt/T)); 15 to 35 in the paper."""

    def planned_passes(self) -> float:
        return passes_in_parts(self.samples if self.gamma else 1)

    def backward(self, step: Step) -> Tensor:
        scaled = step.scaled(increased(self.increase, step.progress))
        return displaced_backward(scaled, FilterNoise(gamma=self.gamma), samples=self.samples)


def increased(alpha: float, progress: float) -> float:
    """Return the factor of a strength that grows to α times itself along a cosine."""
    return 1 + (alpha - 1) * 0.5 * (1 - cos(pi * progress))
