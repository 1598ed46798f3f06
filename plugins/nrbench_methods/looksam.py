"""LookSAM."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Method, Step
from nrbench_methods.vectors import ascent, length, plus, product, times


class LookSAM(Method):
    """SAM at every k-th step, and the part of its gradient that is orthogonal to the plain one again until the next.

    g + α · ‖g‖/‖v‖ · v with v = G - (⟨g, G⟩/‖g‖²) g of the last SAM step, over all weights as one vector. A ramp scales α
    too.
    """

    name: Literal["looksam"] = "looksam"
    paper: ClassVar[str] = "Liu et al. 2022, Towards Efficient and Scalable Sharpness-Aware Minimization (algorithm 1)"

    rho: float = Field(default=0.1, ge=0)
    """The length of the ascent step."""
    k: int = Field(default=5, ge=1)
    """Steps from one of SAM to the next; 1 is SAM."""
    alpha: float = Field(default=0.7, ge=0)
    """The length of the part that is used again, as a share of the gradient's."""

    def planned_passes(self) -> float:
        return 1 + 1 / self.k

    def backward(self, step: Step) -> Tensor:
        loss = step.backward()
        if step.strength == 0:
            step.state.clear()
            return loss
        clean = step.take_gradient()
        again = {name: step.state[name] for name in clean if name in step.state}
        if again and step.clock.step % self.k:
            share = step.strength * self.alpha * length(clean.values()) / length(again.values()).clamp_min(1e-30)
            step.put_gradient(plus(clean, again, share))
            return loss
        loss = step.backward(ascent(clean, self.rho))
        if self.k > 1 and clean:
            climbed = {name: p.grad for name, p in step.model.named_parameters() if p.grad is not None}
            along = product(clean, climbed) / product(clean, clean).clamp_min(1e-30)
            step.state.update(plus(climbed, times(clean, along), -1.0))
        return loss
