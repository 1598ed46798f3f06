"""Entropy-SGD."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import ADDED_LATER, Method, Optimizer, Sgd, State, Step, Weights

_OUTER, _MEAN, _MADE = "w of ", "mean of ", "inner steps made"


class EntropySGD(Method):
    """Langevin steps around the weights, which follow the mean of where those lead; one pass for each.

    L inner steps from w' = w: w' ← w' - η'(∇L(w') - γ(w - w')) + √(2η') · ε · z, with a running mean μ of w'; then w moves
    along w - μ. Each step of the training is an inner one, on a batch of its own; every L-th moves w, by the method's own
    optimizer, which alone may let weights decay and by default does not. η' follows the recipe's schedule. Judged is w, with
    BatchNorm's statistics estimated anew; inner steps at the end that are fewer than L move it no more.
    """

    name: Literal["entropy_sgd"] = "entropy_sgd"
    rampable: ClassVar[bool] = False
    reestimates: ClassVar[bool] = True
    paper: ClassVar[str] = (
        "Chaudhari et al. 2017, Entropy-SGD: Biasing Gradient Descent Into Wide Valleys (algorithm 1)"
    )

    optimizer: Annotated[Optimizer | None, ADDED_LATER] = Sgd(lr=1.0, momentum=0.9, nesterov=True, weight_decay=0.0)
    """What moves w; at a learning rate of 1 without momentum w becomes μ."""
    steps: int = Field(default=20, ge=1)
    """L: the inner steps for each of w."""
    inner_lr: float = Field(default=0.1, gt=0)
    """η': the learning rate of the inner steps at the start."""
    scope: float = Field(default=0.03, ge=0)
    """γ: how strongly w' is drawn to w, at the start."""
    growth: float = Field(default=1e-3, ge=0)
    """By how much of itself γ grows with each step of w."""
    noise: float = Field(default=1e-4, ge=0)
    """ε: the strength of the Langevin noise."""
    keep: float = Field(default=0.75, ge=0, lt=1)
    """The share of μ that an inner step keeps."""

    def backward(self, step: Step) -> Tensor:
        return step.backward()

    def update(self, step: Step) -> None:
        if step.clock.total < self.steps:
            raise ValueError(
                f"a training of {step.clock.total} steps moves no weight: {self.steps} of them make one of w"
            )
        state = step.state
        outer, inner = divmod(state.get(_MADE, 0), self.steps)
        state[_MADE] = state.get(_MADE, 0) + 1
        scope, rate = self.scope * (1 + self.growth) ** outer, self.inner_lr * step.clock.lr_factor
        trained = {name: p for name, p in step.model.named_parameters() if p.grad is not None}
        with torch.no_grad():
            for name, p in trained.items():
                if inner == 0 or _OUTER + name not in state:
                    state[_OUTER + name], state[_MEAN + name] = p.clone(), p.clone()
                pull = scope * (state[_OUTER + name] - p)
                p.add_(p.grad - pull, alpha=-rate)
                p.add_(step.chance.normal(name, p.shape).to(p.dtype), alpha=self.noise * (2 * rate) ** 0.5)
                state[_MEAN + name] = torch.lerp(p, state[_MEAN + name], self.keep)
            if inner < self.steps - 1:
                return
            moved = {name: p for name, p in step.model.named_parameters() if _OUTER + name in state}
            for name, p in moved.items():
                p.copy_(state[_OUTER + name])
                p.grad = p - state[_MEAN + name]
            super().update(step)
            for name, p in moved.items():
                state[_OUTER + name] = p.clone()

    def evaluation_weights(self, state: State) -> Weights | None:
        return {n.removeprefix(_OUTER): value for n, value in state.items() if n.startswith(_OUTER)} or None
