"""Random weight perturbation."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Method, NoiseModel, Step, displaced_backward
from nrbench_methods.vectors import passes_in_parts
from nrbench_noise import Gaussian


class RWP(Method):
    """The gradient at weights displaced by fresh random noise for every batch; one pass."""

    name: Literal["rwp"] = "rwp"
    version: ClassVar[int] = 2  # with several samples, BatchNorm's statistics come from the whole batch
    paper: ClassVar[str] = "Bisla et al. 2022, Low-Pass Filtering SGD; scaled as in the benchmark's paper (eq. 2)"

    sigma: float = Field(default=0.05, ge=0)
    """The strength that multiplies the noise."""
    noise: NoiseModel = Gaussian(sigma=1.0)
    """The distribution, at unit strength: by default Gaussian in units of each filter's largest weight."""
    samples: int = Field(default=1, ge=1)
    """Into how many parts the batch is cut, each of which meets noise of its own; with BatchNorm of two images at least."""

    def planned_passes(self) -> float:
        return passes_in_parts(self.samples if self.sigma else 1)

    def backward(self, step: Step) -> Tensor:
        return displaced_backward(step.scaled(self.sigma), self.noise, samples=self.samples)
