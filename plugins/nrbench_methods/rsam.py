"""Random SAM."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Method, Step
from nrbench_methods.lpf_sgd import FilterNoise
from nrbench_methods.vectors import ascent, plus


class RSAM(Method):
    """SAM from a random point: ε = ρ · ψ / ‖ψ‖, ψ = δ + λ · ∇L(w + δ), δ being noise of each filter's size; two passes.

    Combination and normalisation are reconstructed from a re-implementation, not checked in the paper; the strengths are
    ours.
    """

    name: Literal["rsam"] = "rsam"
    paper: ClassVar[str] = "Liu et al. 2022, Random Sharpness-Aware Minimization"

    rho: float = Field(default=0.1, ge=0)
    """The length of the ascent step."""
    sigma: float = Field(default=0.01, ge=0)
    """The standard deviation of δ, in norms of a filter; 0 is SAM."""
    mix: float = Field(default=1.0, ge=0)
    """λ: the weight of the gradient against δ."""

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        delta = FilterNoise(gamma=self.sigma).displacement(step.weights(), gradient=None, chance=step.chance)
        step.backward(delta)
        gradient = step.take_gradient()
        start = {name: step.strength * delta[name] for name in gradient if name in delta}
        return step.backward(ascent(plus(start, gradient, self.mix), self.rho))
