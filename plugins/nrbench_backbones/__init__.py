"""Backbones: residual networks, wide residual networks and a multilayer perceptron."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_backbones.mlp import MLP
from nrbench_backbones.resnet import ResNet
from nrbench_backbones.wide_resnet import WideResNet

__all__ = ["MLP", "ResNet", "WideResNet", "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The backbones of this package."""
    return [ResNet, WideResNet, MLP]
