"""A multilayer perceptron."""

from itertools import pairwise
from math import prod
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from nrbench import Backbone


class MLP(Backbone):
    """Linear layers with ReLU between them, on the flattened image."""

    name: Literal["mlp"] = "mlp"

    hidden: tuple[Annotated[int, Field(ge=1, le=10_000_000)], ...] = (256, 128)
    """Units of each hidden layer."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of hidden units dropped in training."""

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        sizes = (prod(input_shape), *self.hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
        return nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))
