"""Convolutions and what normalises them, in the networks of this package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import nn

from nrbench import ADDED_LATER

Norm = Annotated[Literal["batch", "group", "none"], ADDED_LATER]
"""What stands behind a convolution: batch normalisation with its running statistics, group normalisation, which has none
(Wu & He 2018), or nothing. Without any, convolutions have biases and each block begins as its shortcut (De & Smith 2020)."""
GROUPS, SMALLEST = 32, 4
"""Groups of a group normalisation; fewer where a group would have fewer channels than this."""


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of a network with one kind of normalisation."""

    norm: Norm

    def convolution(self, inputs: int, outputs: int, size: int = 3, *, stride: int = 1) -> nn.Conv2d:
        """Return a convolution that keeps the image's size, but for its stride."""
        return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=self.norm == "none")

    def normalisation(self, channels: int) -> nn.Module:
        """Return what normalises so many channels."""
        if self.norm == "batch":
            return nn.BatchNorm2d(channels)
        return nn.GroupNorm(groups(channels), channels) if self.norm == "group" else nn.Identity()

    def initialised(self, model: nn.Module, last: list[nn.Conv2d]) -> nn.Module:
        """Return a model with its convolutions drawn from He's normal distribution by fan-out (He et al. 2015, eq. 14).

        Where nothing normalises, biases are 0 and so are the `last` convolutions of the blocks.
        """
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in last if self.norm == "none" else ():
            nn.init.zeros_(module.weight)
        return model


def groups(channels: int) -> int:
    """Return the number of groups of so many channels: the largest divisor that is no more than is wanted."""
    wanted = max(1, min(GROUPS, channels // SMALLEST))
    return next(number for number in range(wanted, 0, -1) if channels % number == 0)
