"""Adversarial weight perturbation."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Chance, Method, Perturbation, Step, Weights
from nrbench_methods.vectors import is_vector


class LayerAscent(Perturbation):
    """γ · ‖W‖ · g / ‖g‖ in each matrix: a weight of two dimensions or more that belongs to no norm."""

    name: Literal["layer_ascent"] = "layer_ascent"
    needs_gradient: ClassVar[bool] = True

    gamma: float = Field(ge=0)

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        moved = {n: g for n, g in (gradient or {}).items() if "weight" in n and not is_vector(n, weights)}
        sizes = {name: weights[name].norm() / (part.norm() + 1e-20) for name, part in moved.items()}
        return {name: self.gamma * sizes[name] * part for name, part in moved.items()}


class AWP(Method):
    """The gradient at the layer-wise worst weights: each matrix moves by the share γ of its norm, uphill; two passes.

    The update is made at the displaced weights and the displacement taken off afterwards, so that weight decay sees them.
    It is the perturbation of the weights alone: images are not attacked.
    """

    name: Literal["awp"] = "awp"
    paper: ClassVar[str] = "Wu et al. 2020, Adversarial Weight Perturbation Helps Robust Generalization (eq. 8, 9)"

    gamma: float = Field(default=0.01, ge=0)
    """The share of a matrix's Euclidean norm."""

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        step.backward()
        delta = LayerAscent(gamma=self.gamma).displacement(
            step.weights(), gradient=step.take_gradient(), chance=step.chance
        )
        step.state.update(delta)  # until the update
        return step.backward(delta)

    def update(self, step: Step) -> None:
        delta = {name: step.strength * step.state.pop(name) for name in list(step.state)}
        parameters = dict(step.model.named_parameters())
        with torch.no_grad():
            for name, part in delta.items():
                parameters[name].add_(part)
            super().update(step)
            for name, part in delta.items():
                parameters[name].sub_(part)
