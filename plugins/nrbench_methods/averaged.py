"""Averages of the weights."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from nrbench import State, Step, Weights
from nrbench_methods.around import Around

_COUNT, _MEAN = "count", "mean of "


class Averaged(Around):
    """Any method that is judged by an average of its weights, for which BatchNorm's statistics are estimated anew.

    `swa` is the mean of the weights at the ends of epochs (Izmailov et al. 2018), `ema` a running mean of those after each
    step. Before the average begins, at the last step at the latest, the method is judged by its own weights. Where a method
    is judged by others than its network's, it is those that are averaged.
    """

    name: Literal["averaged"] = "averaged"
    reestimates: ClassVar[bool] = True
    paper: ClassVar[str] = "Izmailov et al. 2018, Averaging Weights Leads to Wider Optima and Better Generalization"

    mean: Literal["swa", "ema"] = "swa"
    """Which average."""
    start: float = Field(default=0.75, ge=0, lt=1)
    """The part of the training after which it begins; 160 of 200 epochs in the paper, with a learning rate that stays."""
    decay: float = Field(default=0.999, ge=0, lt=1)
    """The share of a running mean that a step keeps."""

    def update(self, step: Step) -> None:
        super().update(step)
        clock, state = step.clock, step.state
        ends = (clock.step + 1) % clock.steps_per_epoch == 0
        late = step.progress >= self.start or clock.step + 1 == clock.total
        if not late or (self.mean == "swa" and not ends):
            return
        count = state[_COUNT] = state.get(_COUNT, 0) + 1
        share = 1 / count if self.mean == "swa" or count == 1 else 1 - self.decay
        judged = super().evaluation_weights(step.state) or {}
        for name, weight in {**step.weights(), **judged}.items():
            before = state.get(_MEAN + name)
            state[_MEAN + name] = weight.clone() if before is None else torch.lerp(before, weight, share)

    def evaluation_weights(self, state: State) -> Weights | None:
        means = {name.removeprefix(_MEAN): value for name, value in state.items() if name.startswith(_MEAN)}
        return means or super().evaluation_weights(state)
