"""A ramp around any method."""

from typing import ClassVar, Literal

from pydantic import field_validator
from torch import Tensor

from nrbench import Clock, Method, Schedule, State, Step, Weights, is_rampable


class Ramped(Method):
    """Any method with a strength that follows a schedule: its displacements are multiplied by the schedule's factor.

    For SAM and RWP that scales rho and sigma. For a perturbation that is not proportional to a strength, such as
    quantisation, it interpolates between no displacement and the whole one.
    """

    name: Literal["ramped"] = "ramped"
    paper: ClassVar[str] = (
        "Incorruptible Neural Networks (ICLR 2026 submission), section 5.2: dynamic perturbation schedules"
    )

    method: Method
    """The method at full strength."""
    schedule: Schedule
    """The factor at each step."""

    @field_validator("method")
    @classmethod
    def _is_rampable(cls, method: Method) -> Method:
        if not is_rampable(method):
            raise ValueError(f"{method.name} cannot be ramped: it is not SGD at strength 0")
        return method

    def backward(self, step: Step) -> Tensor:
        return self.method.backward(self._scaled(step))

    def planned_passes(self) -> float:
        return self.method.planned_passes()

    def passes_at(self, clock: Clock, strength: float = 1.0) -> float:
        return self.method.passes_at(clock, strength * self.schedule.factor_at(clock))

    def update(self, step: Step) -> None:
        self.method.update(self._scaled(step))

    def _scaled(self, step: Step) -> Step:
        return step.scaled(self.schedule.factor_at(step.clock))

    def evaluation_weights(self, state: State) -> Weights | None:
        return self.method.evaluation_weights(state)
