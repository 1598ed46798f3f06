"""Parallel SAM."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Method, Step
from nrbench_methods.vectors import ascent, plus, times


class SAMPa(Method):
    """SAM that climbs along the gradient at an auxiliary point y, so that its two passes need nothing of each other.

    x̃ = x + ρ · ∇L(y)/‖∇L(y)‖, y ← x - η∇L(y), and x moves along (1 - λ) · ∇L(x̃) + λ · ∇L(y) at the new y. Both
    gradients are of the step's own batch; the authors' code takes that at x̃ on the batch before, and lets momentum and
    weight decay act on y too. Two passes of work; the first step makes a third for the first ∇L(y), at y = x. A ramp
    scales ρ alone.
    """

    name: Literal["sampa"] = "sampa"
    paper: ClassVar[str] = "Xie et al. 2024, SAMPa: Sharpness-aware Minimization Parallelized (algorithm 1)"

    rho: float = Field(default=0.1, ge=0)
    """The length of the ascent step."""
    mix: float = Field(default=0.2, ge=0, le=1)
    """λ: the share of the gradient at y."""

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            step.state.clear()
            return step.backward()
        if not len(step.state):
            step.backward()
            step.state.update(step.take_gradient())
        auxiliary = {name: step.state[name] for name, _ in step.model.named_parameters() if name in step.state}
        loss = step.backward(ascent(auxiliary, self.rho))
        climbed = step.take_gradient()
        step.backward(times(auxiliary, -step.clock.lr), fixed=True)
        there = step.take_gradient()
        step.state.update(there)
        step.put_gradient(plus(times(climbed, 1 - self.mix), there, self.mix))
        return loss
