"""Weights that are held to a range."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import State, Step, Weights
from nrbench_methods.around import Around

_HELD = "held "


class Clipped(Around):
    """Any method whose stored weights are held to k standard deviations of their layer, around 0, after each step.

    Noise in units of the largest weight shrinks with it, so a method is compared fairly with those that make it small.
    Frozen layers stay as they are; what the method is judged by, such as an average, is held too.
    """

    name: Literal["clipped"] = "clipped"
    paper: ClassVar[str] = (
        "Rasch et al. 2023, Hardware-aware training for large-scale and diverse deep learning inference"
    )

    deviations: float = Field(default=2.5, gt=0)
    """k."""

    def update(self, step: Step) -> None:
        super().update(step)
        held = hold(step, self.deviations) if step.strength else []
        if super().evaluation_weights(step.state) is not None:
            step.state.clear()
            step.state.update({_HELD + name: 1 for name in held})

    def evaluation_weights(self, state: State) -> Weights | None:
        judged = super().evaluation_weights(state)
        return judged and {n: _held(w, self.deviations) if _HELD + n in state else w for n, w in judged.items()}


def hold(step: Step, deviations: float) -> list[str]:
    """Clip the stored matrices of a network that are trained to so many standard deviations of each; return their names.

    Raise `ValueError` for a weight that is computed from others in each pass.
    """
    parameters = dict(step.model.named_parameters())
    held = [name for name in step.weights().layout.layers if name not in parameters or parameters[name].requires_grad]
    with torch.no_grad():
        for name in held:
            if name not in parameters:
                raise ValueError(f"{name} is computed in each pass, so that it cannot be held to a range")
            parameters[name].copy_(_held(parameters[name], deviations))
    return held


def _held(weight: Tensor, deviations: float) -> Tensor:
    bound = deviations * weight.square().mean().sqrt()
    return weight.clamp(-bound, bound)
