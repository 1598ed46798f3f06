"""Backbones: residual networks, wide ones, a multilayer perceptron, and the networks of torchvision and timm."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_backbones.mlp import MLP
from nrbench_backbones.resnet import ResNet
from nrbench_backbones.timm_backbone import Timm
from nrbench_backbones.torchvision_backbone import Torchvision
from nrbench_backbones.wide_resnet import WideResNet

__all__ = ["MLP", "ResNet", "Timm", "Torchvision", "WideResNet", "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The backbones of this package."""
    return [ResNet, WideResNet, MLP, Torchvision, Timm]
