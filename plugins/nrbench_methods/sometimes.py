"""SAM at some of the steps: where the gradient is long, or by chance."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Clock, Constant, Method, Schedule, Step
from nrbench_methods.vectors import ascent, length


class AESAM(Method):
    """SAM where the squared norm of the gradient is above its running mean by c running standard deviations, SGD elsewhere.

    c goes from `high` to `low` with the training: about half of the steps are SAM's, and more of them late; how many is
    measured, and 1.5 passes are planned. Whether to climb is known on the host, so each step waits for the device once.
    The averages start from the first step's values, which the paper leaves open; defaults are from memory of it.
    """

    name: Literal["aesam"] = "aesam"
    paper: ClassVar[str] = (
        "Jiang et al. 2023, An Adaptive Policy to Employ Sharpness-Aware Minimization (eq. 4, algorithm 1)"
    )

    rho: float = Field(default=0.1, ge=0)
    """The length of the ascent step."""
    decay: float = Field(default=0.9, ge=0, lt=1)
    """The share of its averages that a step keeps."""
    low: float = -1.0
    """λ₁: c at the end of the training."""
    high: float = 1.0
    """λ₂: c at its start."""

    def planned_passes(self) -> float:
        return 1.5

    def backward(self, step: Step) -> Tensor:
        loss = step.backward()
        if step.strength == 0:
            return loss
        gradient = step.take_gradient()
        if self._is_long(step, length(gradient.values()).square()):
            return step.backward(ascent(gradient, self.rho))
        step.put_gradient(gradient)
        return loss

    def _is_long(self, step: Step, square: Tensor) -> bool:
        """Whether a squared norm is above the threshold, which it is a part of."""
        state = step.state
        mean = state["mean"] = torch.lerp(square, state.get("mean", square), self.decay)
        spread = (square - mean).square()
        variance = state["variance"] = torch.lerp(spread, state.get("variance", torch.zeros_like(spread)), self.decay)
        c = step.progress * self.low + (1 - step.progress) * self.high
        return bool(square >= mean + c * variance.sqrt())


class SSSAM(Method):
    """SAM at random steps, SGD at the others: 1 + p passes. The chance p may follow a schedule."""

    name: Literal["ss_sam"] = "ss_sam"
    paper: ClassVar[str] = "Zhao et al. 2022, SS-SAM: Stochastic Scheduled Sharpness-Aware Minimization"

    rho: float = Field(default=0.1, ge=0)
    """The length of the ascent step."""
    probability: float = Field(default=0.5, ge=0, le=1)
    """The chance of a step to be SAM's; 1 is SAM."""
    schedule: Schedule = Constant()
    """A factor of that chance at each step."""

    def planned_passes(self) -> float:
        return 1 + self.probability

    def passes_at(self, clock: Clock, strength: float = 1.0) -> float:
        return 1 + self._chance(clock) if strength else 1.0

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        drawn = torch.rand((), generator=step.chance.generator("step"), device=step.images.device)
        if not drawn < self._chance(step.clock):
            return step.backward()
        step.backward()
        return step.backward(ascent(step.take_gradient(), self.rho))

    def _chance(self, clock: Clock) -> float:
        return min(1.0, self.probability * self.schedule.factor_at(clock))
