"""Weights that are held to a range."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Method, State, Step, Weights


class Clipped(Method):
    """Any method whose stored weights are held to k standard deviations of their layer after each step.

    Noise in units of the largest weight shrinks with it, so a method is compared fairly with those that make it small.
    """

    name: Literal["clipped"] = "clipped"
    paper: ClassVar[str] = (
        "Rasch et al. 2023, Hardware-aware training for large-scale and diverse deep learning inference"
    )

    method: Method
    """What trains the weights."""
    deviations: float = Field(default=2.5, gt=0)
    """k."""

    def planned_passes(self) -> float:
        return self.method.planned_passes()

    def backward(self, step: Step) -> Tensor:
        return self.method.backward(step.within("method"))

    def update(self, step: Step) -> None:
        self.method.update(step.within("method"))
        hold(step, self.deviations)

    def evaluation_weights(self, state: State) -> Weights | None:
        return self.method.evaluation_weights(state.within("method"))


def hold(step: Step, deviations: float) -> None:
    """Clip the stored matrices of a network to so many standard deviations of each, around 0.

    Raise `ValueError` for a weight that is computed from others in each pass.
    """
    parameters = dict(step.model.named_parameters())
    with torch.no_grad():
        for name in step.weights().layout.layers:
            if name not in parameters:
                raise ValueError(f"{name} is computed in each pass, so that it cannot be held to a range")
            weight = parameters[name]
            bound = deviations * weight.std()
            weight.clamp_(-bound, bound)
