"""Displacements δ of the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from nrbench.base.chance import Chance
from nrbench.base.component import Component

Weights = Mapping[str, Tensor]
"""Tensors by parameter name; as a displacement, an absent name is not displaced."""

NONE: Weights = MappingProxyType({})
"""No displacement."""


def moved(weights: Weights, delta: Weights, *, scale: float = 1.0) -> Weights:
    """Return w + scale · δ for the weights that are displaced: new tensors, through which gradients flow to w.

    w itself is never written. Raise `ValueError` for a displacement that does not fit them.
    """
    check_displacement(weights, delta)
    return {name: torch.add(weights[name], tensor, alpha=scale) for name, tensor in delta.items()}


def check_displacement(weights: Weights, delta: Weights) -> None:
    """Raise `ValueError` for a displacement of something that is no weight, or of another shape, type or device."""
    if unknown := delta.keys() - weights.keys():
        raise ValueError(f"a displacement of {', '.join(sorted(unknown))}, which the model does not have")
    for name, tensor in delta.items():
        weight = weights[name]
        found, wanted = (tensor.shape, tensor.dtype, tensor.device), (weight.shape, weight.dtype, weight.device)
        if found != wanted:
            said = " and ".join(f"{tuple(shape)} {dtype} on {device}" for shape, dtype, device in (found, wanted))
            raise ValueError(f"the displacement of {name} and the weight differ: {said}")


class Perturbation(Component):
    """How a displacement of the weights is found in training, where a gradient may help."""

    needs_gradient: ClassVar[bool] = False
    """Whether `displacement` is given the gradient at the undisplaced weights."""

    @abstractmethod
    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        """Return δ for these weights, without writing to any argument.

        Each tensor has the shape, data type and device of its weight.
        """
