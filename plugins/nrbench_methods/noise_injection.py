"""Noise injection: training under the errors of the hardware itself."""

from typing import ClassVar, Literal

from torch import Tensor

from nrbench import Method, NoiseModel, Step, displaced_backward


class NoiseInjection(Method):
    """The gradient at weights displaced by any noise model as it is, a device profile for instance; one pass."""

    name: Literal["noise_injection"] = "noise_injection"
    paper: ClassVar[str] = (
        "Joshi et al. 2020, Accurate deep neural network inference using computational phase-change memory"
    )

    noise: NoiseModel
    """The noise model that is drawn anew for every batch."""

    def backward(self, step: Step) -> Tensor:
        return displaced_backward(step, self.noise)
