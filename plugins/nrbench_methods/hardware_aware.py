"""Hardware-aware training."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Method, NoiseModel, Step, displaced_backward
from nrbench_methods.clipped import hold
from nrbench_noise import Gaussian


class HardwareAware(Method):
    """The gradient under noise in units of each column's largest weight, and weights held to k standard deviations; one pass.

    What is left of the published recipe is what weight noise needs: no converters, input ranges or tiles of 512 rows.
    """

    name: Literal["hardware_aware"] = "hardware_aware"
    paper: ClassVar[str] = (
        "Rasch et al. 2023, Hardware-aware training for large-scale and diverse deep learning inference"
    )

    sigma: float = Field(default=0.1, ge=0)
    """The strength that multiplies the noise; the authors' example sweeps 0.05, 0.1 and 0.2."""
    noise: NoiseModel = Gaussian(sigma=1.0)
    """The distribution, at unit strength."""
    deviations: float = Field(default=2.5, gt=0)
    """To how many standard deviations of its layer a weight is held."""

    def backward(self, step: Step) -> Tensor:
        return displaced_backward(step.scaled(self.sigma), self.noise)

    def update(self, step: Step) -> None:
        super().update(step)
        if step.strength:
            hold(step, self.deviations)
