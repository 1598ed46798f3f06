"""Fitting a network that was made for photographs to the images at hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import torch
from safetensors.torch import load
from torch import nn

from nrbench import ADDED_LATER, Backbone, DataFile, did_you_mean

Arguments = Annotated[Mapping[str, Any], ADDED_LATER]


BRINGING = (
    "checkpoint_path",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "cache_dir",
    "weights",
    "scriptable",
)
"""Arguments of the libraries that would bring weights, or another kind of network, from somewhere else."""


def check_buildable(backbone: Backbone, options: Iterable[str], arguments: Iterable[str] = ()) -> None:
    """Raise `ValueError` with the reason when a network cannot be built; memory is taken only where it needs numbers.

    `options` are the names that its constructor knows, for a word about one that it does not.
    """
    if brought := sorted(set(arguments) & set(BRINGING)):
        raise ValueError(
            f"{brought[0]} is not for an argument to say: weights to start from are the field `pretrained`, weights to judge "
            "the method `trained`"
        )
    backbone = backbone.model_copy(update={"pretrained": None})  # weights are for images of another shape than this one
    try:
        try:
            with torch.device("meta"):
                backbone.build(num_classes=2, input_shape=(3, 224, 224))
        except (RuntimeError, NotImplementedError):
            with torch.random.fork_rng([]):
                backbone.build(num_classes=2, input_shape=(3, 224, 224))
    except TypeError as error:  # an option that the network does not have
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        hint = did_you_mean(unknown[1], sorted(options)) if unknown else ""
        raise ValueError(f"{error}; {hint}" if hint else str(error)) from error


Pretrained = Annotated[DataFile | None, ADDED_LATER]


def started_from(model: nn.Module, file: DataFile | None, *, num_classes: int) -> nn.Module:
    """Return a network with the weights of a safetensors file in the place of new ones, but for a head of other classes.

    Raise `ValueError` for weights of another network, with what differs.
    """
    if file is None:
        return model
    given, own = load(file.read()), model.state_dict()
    heads = {
        name: own[name]
        for name in own.keys() & given.keys()
        if own[name].shape != given[name].shape and own[name].shape == (num_classes, *given[name].shape[1:])
    }
    try:
        model.load_state_dict({**given, **heads})
    except RuntimeError as error:
        raise ValueError(
            f"{file.path} holds weights of another network: {' '.join(str(error).split())[:300]}"
        ) from None
    return model


def fitted(model: nn.Module, *, channels: int, cifar_stem: bool) -> nn.Module:
    """Return a network for images of `channels` colours, with the stem for small images where it is asked for.

    That stem is a 3×3 convolution of stride 1 without the pooling behind it, in the place of a 7×7 one of stride 2 with
    pooling. New convolutions are initialised as He et al. 2015 do (fan out). Raise `ValueError` with the reason when
    the network does not begin like that.
    """
    convolutions = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        raise ValueError("it has no convolution that images could enter by")
    name, first = convolutions[0]
    if cifar_stem:
        pools = [name for name, module in model.named_modules() if isinstance(module, nn.MaxPool2d)]
        if first.kernel_size != (7, 7) or first.stride != (2, 2) or not pools:
            raise ValueError("it has no 7×7 stem of stride 2 with a max-pool that a small one could stand for")
        model.set_submodule(pools[0], nn.Identity())
        model.set_submodule(name, _convolution(first, channels, kernel_size=3, stride=1, padding=1, dilation=1))
    elif first.in_channels != channels:
        model.set_submodule(name, _convolution(first, channels))
    return model


def _convolution(like: nn.Conv2d, channels: int, **other: int) -> nn.Conv2d:
    """Return a convolution for other colours that is in all else like the one it replaces, but for what is said."""
    if like.groups != 1:
        raise ValueError("its first convolution is in groups")
    kept = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    options: dict[str, Any] = {name: getattr(like, name) for name in kept} | other
    new = nn.Conv2d(channels, like.out_channels, bias=like.bias is not None, **options)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    return new
