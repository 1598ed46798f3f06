"""Backbones: the networks that are trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from torch import nn

from nrbench.base.component import Component
from nrbench.families.analog import Layer, stored_layers


class Backbone(Component, family="backbones"):
    """Family: an image classifier, built with random weights from torch's default generator."""

    @abstractmethod
    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        """Return a module that maps float images (batch, *input_shape) to logits (batch, num_classes).

        `input_shape` is (channels, height, width). Raise `ValueError` when the backbone cannot take it.
        """

    def stored(self, model: nn.Module) -> Iterable[Layer]:
        """Return the layers of a network that was built which lie on the device; by default its types of modules say so."""
        return stored_layers(model)
