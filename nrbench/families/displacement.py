"""Displacements δ of the weights, and the one place that runs a model at w + δ."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nrbench.base.chance import Chance
from nrbench.base.component import Component

Weights = Mapping[str, Tensor]
"""Tensors by parameter name; as a displacement, an absent name is not displaced."""

NONE: Weights = MappingProxyType({})
"""No displacement."""


def moved(weights: Weights, delta: Weights, *, scale: float = 1.0) -> Weights:
    """Return w + scale · δ for the weights that are displaced: new tensors, through which gradients flow to w.

    w itself is never written. Raise `ValueError` for a displacement of something that is no weight.
    """
    if unknown := delta.keys() - weights.keys():
        raise ValueError(f"a displacement of {', '.join(sorted(unknown))}, which the model does not have")
    return {name: torch.add(weights[name], tensor, alpha=scale) for name, tensor in delta.items()}


def forward_at(
    model: nn.Module, delta: Weights, x: Tensor, *, scale: float = 1.0, frozen_buffers: bool = False
) -> Tensor:
    """Return the model's output at w + scale · δ; with frozen buffers, a pass in training mode updates copies of them."""
    copies = {name: buffer.clone() for name, buffer in model.named_buffers()} if frozen_buffers else {}
    state = {**moved(dict(model.named_parameters()), delta, scale=scale), **copies}
    output: Tensor = functional_call(model, state, (x,)) if state else model(x)
    return output


class Perturbation(Component):
    """How a displacement of the weights is found in training, where a gradient may help."""

    needs_gradient: ClassVar[bool] = False
    """Whether `displacement` is given the gradient at the undisplaced weights."""

    @abstractmethod
    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        """Return δ for these weights, without writing to any argument.

        Each tensor has the shape, data type and device of its weight.
        """
