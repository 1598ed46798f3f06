"""Displacements δ of the weights, and the one place that runs a model at w + δ."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
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


def displaced(
    model: nn.Module, delta: Weights, *, scale: float = 1.0, buffers: Weights = NONE
) -> Callable[[Tensor], Tensor]:
    """Return the model at w + scale · δ as a function of its input.

    The weights are added up once, here, and w itself is never written. Gradients flow to w. `buffers` stand in for the
    model's own, such as running statistics, and are then the ones that a pass in training mode updates. Raise `ValueError`
    for a displacement of something that is no parameter.
    """
    if unknown := delta.keys() - dict(model.named_parameters()).keys():
        raise ValueError(f"a displacement of {', '.join(sorted(unknown))}, which the model does not have")
    weights = {name: weight for name, weight in model.named_parameters() if name in delta}
    state = {name: torch.add(w, delta[name], alpha=scale) for name, w in weights.items()} | dict(buffers)
    return (lambda x: functional_call(model, state, (x,))) if state else model


def forward_at(
    model: nn.Module, delta: Weights, x: Tensor, *, scale: float = 1.0, frozen_buffers: bool = False
) -> Tensor:
    """Return the model's output at w + scale · δ; with frozen buffers, a pass in training mode updates copies of them."""
    copies = {name: buffer.clone() for name, buffer in model.named_buffers()} if frozen_buffers else NONE
    return displaced(model, delta, scale=scale, buffers=copies)(x)


class Perturbation(Component):
    """How a displacement of the weights is found in training, where a gradient may help."""

    needs_gradient: ClassVar[bool] = False
    """Whether `displacement` is given the gradient at the undisplaced weights."""

    @abstractmethod
    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        """Return δ for these weights, without writing to any argument.

        Each tensor has the shape, data type and device of its weight.
        """
