"""Memory formats: how images and the weights of convolutions lie in memory."""

from __future__ import annotations

import logging
from functools import cache

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

log = logging.getLogger(__name__)
BLOCK = 16
"""Channels that oneDNN computes with at once: 8 with AVX2, 16 with AVX-512. The larger one holds on every CPU, so that the
layout, and with it a result's rounding, does not depend on the machine."""


def lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    """Give the weights of convolutions a memory format, and leave all others as the network made them."""
    for module in model.modules():
        if isinstance(module, _ConvNd | parametrize.ParametrizationList):
            for parameter in (p for p in module.parameters(recurse=False) if p.ndim == 4):
                parameter.data = parameter.data.contiguous(memory_format=memory_format)


def takes_channels_last(model: nn.Module) -> bool:
    """Whether a network is computed rightly in channels_last; if it is not, say which layer forbids it.

    The backward pass of 1×1 convolutions of stride above 1 with fewer input channels than a block writes beyond its memory
    where weight or image is channels_last (oneDNN issue 6035, torch 2.14.1): 300 steps with 2, 3, 4 and 6 channels died,
    those of all other kinds of convolution with 1 to 16 channels agree with float64.
    """
    unsafe = next((name for name, module in model.named_modules() if _is_unsafe(module)), None)
    if unsafe is not None:
        _say(
            f"computed in contiguous memory, since channels_last gives {unsafe}, a strided 1×1 convolution, wrong gradients"
        )
    return unsafe is None


def _is_unsafe(module: nn.Module) -> bool:
    if not isinstance(module, _ConvNd) or set(module.kernel_size) != {1} or max(module.stride) == 1:
        return False
    channels = min(module.in_channels, module.out_channels) if module.transposed else module.in_channels
    return channels // module.groups < BLOCK


@cache
def _say(text: str) -> None:
    log.warning(text)
