"""Trials: whether the networks of a suite can be built for its images, and run, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nrbench.base.errors import DataError, Problem
from nrbench.families.analog import Layer, Layout, NetworkWeights
from nrbench.families.backbone import Backbone
from nrbench.families.dataset import Dataset, load_splits
from nrbench.families.method import Method
from nrbench.families.noise import NoiseModel
from nrbench.families.scale import Scale
from nrbench.suite.given import taken
from nrbench.suite.suite import Benchmark, Suite
from nrbench.suite.yaml import Node, dotted

IMAGES = 2
LARGE = 3 * 64 * 64
"""Numbers in an image; a network for larger ones is large itself as a rule."""


class Trouble(NamedTuple):
    """What does not fit, and which entry of the suite says so."""

    section: str
    label: str
    message: str


def problems(benchmark: Benchmark, roots: Sequence[Node], data: Path) -> list[Problem]:
    """Return all troubles of a suite, or of those of a collection, at their places in the texts that they were read from."""
    return [
        Problem(root.locate(path), dotted(path), trouble.message)
        for root, part in zip(roots, benchmark.parts, strict=True)
        for trouble in troubles(part, data)
        for path in [(trouble.section, trouble.label)]
    ]


def troubles(suite: Suite, data: Path) -> Iterator[Trouble]:
    """Yield what would fail in each pair of backbone and data set; images are read only where their shape is not known.

    Each network is built and run once in evaluation and in training, on two random images, without memory where that
    works. Given weights are compared with it, and layers that noise models name are looked for.
    """
    for label, dataset in suite.datasets.items():
        try:
            shape = _shape(dataset, data)
        except DataError as error:
            yield Trouble("datasets", label, str(error))
            continue
        for name, backbone in suite.backbones.items() if shape else ():
            assert shape is not None
            try:
                model, layout = tried(backbone, *shape)
            except Exception as error:
                kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
                yield Trouble(
                    "backbones", name, f"it does not take images of {label}, {_said(shape[1])}: {kind}{error}"
                )
                continue
            yield from _troubles_with(suite, f"{name} on {label}", model, layout.weights_of(model))


@lru_cache(maxsize=8)
def tried(backbone: Backbone, classes: int, shape: tuple[int, int, int]) -> tuple[nn.Module, Layout]:
    """Return a network that was built and run, and how its weights lie; raise whatever it raises.

    A pass without memory makes torch import its compiler, 1.3 s, and some networks need numbers: so small ones, by the
    pixels that they see, are run for real.
    """
    if prod(shape) > LARGE:
        with suppress(Exception):  # whatever is wrong is raised below, with numbers
            return _run(backbone, classes, shape, "meta")
    return _run(backbone, classes, shape, "cpu")


def _run(backbone: Backbone, classes: int, shape: tuple[int, int, int], device: str) -> tuple[nn.Module, Layout]:
    with torch.random.fork_rng([]), torch.device(device):
        model = backbone.build(num_classes=classes, input_shape=shape)
        layout = Layout.of(model, backbone.stored(model))
        images = torch.rand(IMAGES, *shape)
        with torch.no_grad():
            for mode in (model.train(), model.eval()):
                output = mode(images)
                if not isinstance(output, Tensor):
                    raise ValueError(f"its output is a {type(output).__name__} and not a tensor of logits")
                if tuple(output.shape) != (IMAGES, classes):
                    raise ValueError(f"its output is {tuple(output.shape)} for {IMAGES} images of {classes} classes")
            direct_use(model, layout, images)
    return model, layout


def _shape(dataset: Dataset, data: Path) -> tuple[int, tuple[int, int, int]] | None:
    if dataset.shape is not None:
        return dataset.shape
    splits = load_splits(dataset, data)
    return splits.num_classes, splits.input_shape


def _said(shape: tuple[int, int, int]) -> str:
    return "×".join(map(str, shape))


def _troubles_with(suite: Suite, pair: str, model: nn.Module, weights: NetworkWeights) -> Iterator[Trouble]:
    for label, method in suite.methods.items():
        for seed in range(suite.seeds) if not method.trains else ():
            try:
                given = method.given_weights(seed)
                if given is not None:
                    taken(given, model, note=lambda text: None)
            except Exception as error:
                yield Trouble("methods", label, f"its weights do not fit {pair}: {error}")
                break
        yield from _unknown_layers("methods", label, method, pair, weights)
    for label, noise in suite.noise.items():
        yield from _unknown_layers("noise", label, noise, pair, weights)


def _unknown_layers(
    section: str, label: str, component: Method | NoiseModel, pair: str, weights: NetworkWeights
) -> Iterator[Trouble]:
    for name in type(component).model_fields:
        value = getattr(component, name)
        if isinstance(value, Method | NoiseModel):
            yield from _unknown_layers(section, label, value, pair, weights)
        if isinstance(value, Scale):
            try:
                value.layers.of(weights)
            except ValueError as error:
                yield Trouble(section, label, f"{error} ({pair})")


PRODUCTS = frozenset(
    {
        torch.matmul,
        torch.mm,
        torch.bmm,
        torch.addmm,
        torch.baddbmm,
        torch.einsum,
        torch.tensordot,
        Tensor.matmul,
        Tensor.mm,
    }
    | {
        Tensor.__matmul__,
        Tensor.__rmatmul__,
        functional.linear,
        functional.bilinear,
        functional.multi_head_attention_forward,
    }
    | {getattr(functional, f"conv{kind}{n}d") for kind in ("", "_transpose") for n in (1, 2, 3)}
)
"""What a layer multiplies activations with its weight by, as torch calls it."""


class _Products(TorchFunctionMode):
    """Remembers the tensors that products were made with."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in PRODUCTS:
            self.seen |= {id(each) for each in (*args, *(kwargs or {}).values()) if isinstance(each, Tensor)}
        return func(*args, **(kwargs or {}))


def direct_use(model: nn.Module, layout: Layout, images: Tensor) -> None:
    """Raise `ValueError` for a layer with a forward pass of its own that multiplies with something else than its weight.

    What it computes from its weight first, a standardised one for instance, is what a device would hold, and nothing here
    could displace that.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    own = [layer for name, layer in layout.layers.items() if name in parameters and _overridden(model, layer)]
    if not own:
        return
    with _Products() as products:
        model(images)
    computed = [layer.module for layer in own if id(parameters[layer.name]) not in products.seen]
    if computed:
        raise ValueError(
            f"{computed[0]} ({type(model.get_submodule(computed[0])).__name__}) computes another weight from its own in "
            f"each pass, which is what a device would hold ({len(computed)} such layers); leave them digital by "
            "Backbone.stored, or take a network whose layers use their weights as they are"
        )


def _overridden(model: nn.Module, layer: Layer) -> bool:
    """Whether the module that holds a layer has a forward pass that is not torch's own."""
    return not type(model.get_submodule(layer.module)).forward.__module__.startswith("torch.nn.")
