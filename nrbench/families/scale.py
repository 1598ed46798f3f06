"""Scales: the unit that the strength of a noise model is measured in."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench.base.component import ADDED_LATER, Frozen
from nrbench.families.analog import Layer, LayerChoice, laid_out
from nrbench.families.displacement import Weights


class Scale(Frozen):
    """The unit a noise model measures its strength in, for each output line of the hardware.

    The default is the largest magnitude among the weights of a filter: all weights that feed one output unit.
    """

    by: Literal["filter", "layer", "model"] = "filter"
    """The group of weights that shares a unit."""
    power: float = Field(default=1.0, gt=0, le=16)
    """The exponent of that magnitude; 0.5 is the literal reading of the covariance max|w|·σ² printed in the paper."""
    tensors: Literal["matrix", "matrix_and_bias", "all"] = "matrix"
    """What of a layer is stored on the device: its matrix, its bias too, or every parameter of the network."""
    layers: Annotated[LayerChoice, ADDED_LATER] = LayerChoice()
    """Layers to leave digital or to add; by default those whose type says that they are matrix products."""

    def units(self, weights: Weights) -> dict[str, Tensor]:
        """Return the unit of each stored tensor, in a shape that broadcasts against it.

        A bias lies on the output lines of its layer and shares their units; any other tensor that is no layer's matrix
        is one group. Raise `TypeError` for a plain mapping, which does not say what is stored, and `ValueError` for a
        layer that is not there.
        """
        layers = self.layers.of(laid_out(weights))
        lines = {name: self._lines(layer, weights[name]) for name, layer in layers.items()}
        units = {name: layer.over(lines[name], weights[name]) for name, layer in layers.items()}
        if self.tensors != "matrix":
            biases: dict[str, list[Tensor]] = {}
            for name, layer in layers.items():
                if layer.bias in weights:
                    biases.setdefault(layer.bias, []).append(lines[name])
            units |= {bias: torch.cat(parts) if len(parts) > 1 else parts[0] for bias, parts in biases.items()}
        if self.tensors == "all":
            others = ((name, weight) for name, weight in weights.items() if name not in laid_out(weights).layout.raw)
            units |= {name: weight.abs().amax() for name, weight in others if name not in units}
        if self.by == "model" and units:
            largest = torch.stack([weights[name].abs().amax() for name in units]).amax()
            units = dict.fromkeys(units, largest)
        return {
            name: units[name] if self.power == 1 else units[name] ** self.power for name in weights if name in units
        }

    def _lines(self, layer: Layer, weight: Tensor) -> Tensor:
        lines = layer.largest(weight)
        return lines if self.by == "filter" else lines.amax().expand(lines.shape)
