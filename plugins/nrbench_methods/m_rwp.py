"""Mixed random weight perturbation: two batches, one at the weights and one under noise."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Method, Step, Weights
from nrbench_methods.arwp import adaptive_noise, remember
from nrbench_methods.lpf_sgd import FilterNoise
from nrbench_methods.vectors import plus, times


class MRWP(Method):
    """λ · ∇L(w + ε) on a further batch and (1 - λ) · ∇L(w) on the step's own; two passes, over twice the images.

    ε is filter noise. The two passes need nothing of each other. Running statistics are those of the first, at w. A ramp
    scales σ, and at 0 the further batch is left out.
    """

    name: Literal["m_rwp"] = "m_rwp"
    paper: ClassVar[str] = "Li et al. 2022, Efficient Generalization Improvement Guided by Random Weight Perturbation"

    sigma: float = Field(default=0.01, ge=0)
    """The standard deviation, in norms of a filter."""
    mix: float = Field(default=0.5, ge=0, le=1)
    """λ: the share of the gradient under noise."""

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        clean = step.backward()
        gradient = step.take_gradient()
        noisy = step.more().backward(self.noise(step))
        under_noise = step.take_gradient()
        self.seen(step, under_noise)
        step.put_gradient(plus(times(gradient, 1 - self.mix), under_noise, self.mix))
        return (1 - self.mix) * clean + self.mix * noisy

    def noise(self, step: Step) -> Weights:
        """Return ε."""
        return FilterNoise(gamma=self.sigma).displacement(step.weights(), gradient=None, chance=step.chance)

    def seen(self, step: Step, gradient: Weights) -> None:
        """Take note of the gradient under noise."""


class MARWP(MRWP):
    """`m_rwp` with noise that is smaller where past gradients were large, as `arwp` has it; two passes."""

    name: Literal["m_arwp"] = "m_arwp"  # type: ignore[assignment]
    paper: ClassVar[str] = (
        "Li et al. 2024, Revisiting Random Weight Perturbation for Efficiently Improving Generalization (eq. 6, 10)"
    )

    sigma: float = Field(default=0.015, ge=0)
    """The standard deviation, in norms of a filter."""
    eta: float = Field(default=0.1, ge=0)
    """The weight of past squared gradients; 0 is m_rwp."""
    decay: float = Field(default=0.99, ge=0, lt=1)
    """β: the share of them that a step keeps."""

    def noise(self, step: Step) -> Weights:
        return adaptive_noise(step, self.sigma, self.eta)

    def seen(self, step: Step, gradient: Weights) -> None:
        remember(gradient, step.state, self.decay)
