"""Perturbations: displacements δ of the weights, and the one place that runs a model at w + δ."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from nrbench.chance import Chance
from nrbench.component import Component, Frozen

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
    """Family: how a displacement of the weights is found."""

    needs_gradient: ClassVar[bool] = False
    """Whether `displacement` is given the gradient at the undisplaced weights."""

    @abstractmethod
    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        """Return δ for these weights, without writing to any argument.

        Each tensor has the shape, data type and device of its weight.
        """


class NoiseModel(Perturbation):
    """Family: an error of stored weights. It depends on the weights and on chance alone, so it can judge any model."""

    random: ClassVar[bool] = True
    """Whether two draws can differ; a model that is not random is evaluated once."""


class Scale(Frozen):
    """The unit a noise model measures its strength in, for each output line of the hardware.

    The default is the largest magnitude among the weights of a filter: all weights that feed one output unit.
    """

    by: Literal["filter", "layer", "model"] = "filter"
    """The group of weights that shares a unit."""
    power: float = Field(default=1.0, gt=0)
    """The exponent of that magnitude; 0.5 is the literal reading of the covariance max|w|·σ² printed in the paper."""
    tensors: Literal["matrix", "matrix_and_bias", "all"] = "matrix"
    """Which tensors are stored on the device: convolutions and linear layers, their biases too, or every parameter."""

    def units(self, weights: Weights) -> dict[str, Tensor]:
        """Return the unit of each stored tensor, in a shape that broadcasts against it.

        A bias stored beside a matrix lies on the same output lines and shares their units; any other vector is one group.
        """
        matrices = {name: weight for name, weight in weights.items() if weight.ndim > 1}
        units = {name: self._magnitude(weight) for name, weight in matrices.items()}
        if self.tensors != "matrix":
            units |= {bias: units[name].flatten() for name in matrices if (bias := _bias_of(name)) in weights}
        if self.tensors == "all":
            units |= {name: weight.abs().amax() for name, weight in weights.items() if name not in units}
        if self.by == "model" and units:
            largest = torch.stack([weights[name].abs().amax() for name in units]).amax()
            units = dict.fromkeys(units, largest)
        return {
            name: units[name] if self.power == 1 else units[name] ** self.power for name in weights if name in units
        }

    def _magnitude(self, matrix: Tensor) -> Tensor:
        dims = tuple(range(1, matrix.ndim)) if self.by == "filter" else tuple(range(matrix.ndim))
        # two reductions instead of abs().amax(), which writes a copy of the weights: 0.67 against 1.04 ms for 2.4 M
        return torch.maximum(matrix.amax(dims, keepdim=True), -matrix.amin(dims, keepdim=True))


def _bias_of(name: str) -> str:
    head, _, tail = name.rpartition(".")
    return f"{head}.bias" if tail == "weight" and head else ("bias" if tail == "weight" else "")
