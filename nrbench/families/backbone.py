"""Backbones: the networks that are trained."""

from __future__ import annotations

from abc import abstractmethod

from torch import nn

from nrbench.base.component import Component


class Backbone(Component, family="backbones"):
    """Family: an image classifier, built with random weights from torch's default generator."""

    @abstractmethod
    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        """Return a module that maps float images (batch, *input_shape) to logits (batch, num_classes).

        `input_shape` is (channels, height, width). Raise `ValueError` when the backbone cannot take it.
        """
