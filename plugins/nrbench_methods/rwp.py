"""Random weight perturbation."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Chance, Method, NoiseModel, Perturbation, Step, Weights, displaced_backward
from nrbench_noise import Gaussian


class ScaledNoise(Perturbation):
    """A noise model's displacement times sigma."""

    name: Literal["scaled_noise"] = "scaled_noise"

    sigma: float = Field(ge=0)
    noise: NoiseModel

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        delta = self.noise.displacement(weights, gradient=gradient, chance=chance)
        return dict(zip(delta, torch._foreach_mul(list(delta.values()), self.sigma), strict=True)) if delta else delta


class RWP(Method):
    """The gradient at weights displaced by fresh random noise for every batch; one pass."""

    name: Literal["rwp"] = "rwp"
    paper: ClassVar[str] = "Bisla et al. 2022, Low-Pass Filtering SGD; scaled as in the benchmark's paper (eq. 2)"

    sigma: float = Field(default=0.05, ge=0)
    """The strength that multiplies the noise."""
    noise: NoiseModel = Gaussian(sigma=1.0)
    """The distribution, at unit strength: by default Gaussian in units of each filter's largest weight."""
    samples: int = Field(default=1, ge=1)
    """Into how many parts the batch is cut, each of which meets noise of its own."""

    def backward(self, step: Step) -> Tensor:
        perturbation = ScaledNoise(sigma=self.sigma, noise=self.noise)
        return displaced_backward(step, perturbation, samples=self.samples)
