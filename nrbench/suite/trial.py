"""Trials: whether the networks of a suite can be built for its images, and run, before anything is trained."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from nrbench.base.chance import generator
from nrbench.base.errors import DataError, Problem
from nrbench.base.torch_state import unchanged
from nrbench.families.analog import Layout, NetworkWeights
from nrbench.families.backbone import Backbone
from nrbench.families.dataset import Dataset, Images, Splits, load_splits
from nrbench.families.executor import Failure, attempt
from nrbench.families.loading import difference, stored_tensors
from nrbench.families.method import Method, inside
from nrbench.families.noise import NoiseModel
from nrbench.families.scale import Scale
from nrbench.suite.check import validated_by
from nrbench.suite.given import taken
from nrbench.suite.oracle import Sample, check_network
from nrbench.suite.suite import Benchmark, Suite
from nrbench.suite.yaml import Node, dotted

IMAGES = 2
"""Images that a network is tried on."""


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

    Each network is built twice and run on two images in evaluation and in training, as it is and displaced. Given weights
    are compared with it, and layers that noise models name are looked for.
    """
    for label, dataset in suite.datasets.items():
        try:
            sample = _sample(dataset, data, suite)
        except DataError as error:
            yield Trouble("datasets", label, str(error))
            continue
        for name, backbone in suite.backbones.items():
            found = attempt(lambda pair: tried(*pair), (backbone, sample))
            if isinstance(found, Failure):
                why = found.message.removeprefix("ValueError: ")
                yield Trouble("backbones", name, f"on images of {label}, {_said(sample.shape)}: {why}")
                continue
            model, layout = found
            yield from _troubles_with(suite, f"{name} on {label}", model, layout.weights_of(model))


@lru_cache(maxsize=8)
def tried(backbone: Backbone, sample: Sample) -> tuple[nn.Module, Layout]:
    """Return a network that was built twice and run, and how its weights lie; raise whatever it raises."""
    quiet = redirect_stdout(sys.stderr)  # what a network prints is no result of ours
    with quiet, torch.random.fork_rng([]), unchanged(backbone.name, generators=False):
        build = partial(backbone.build, num_classes=sample.classes, input_shape=sample.shape)
        return check_network(build, backbone.stored, sample)


@lru_cache(maxsize=8)
def made_up_sample(classes: int, shape: tuple[int, int, int], precision: torch.dtype = torch.float32) -> Sample:
    """Return random images of a shape."""
    pixels = torch.randint(0, 256, (IMAGES, *shape), dtype=torch.uint8, generator=generator("images of a trial"))
    statistics = (0.5,) * shape[0], (0.25,) * shape[0]
    return Sample(Images(pixels, torch.arange(IMAGES) % classes), classes, *statistics, precision)


@lru_cache(maxsize=8)
def _real_sample(splits: Splits, precision: torch.dtype) -> Sample:
    return Sample(splits.train[:IMAGES], splits.num_classes, splits.mean, splits.std, precision)


def _sample(dataset: Dataset, data: Path, suite: Suite) -> Sample:
    """Return training images of a data set, made up ones where it is not there: a suite may be written elsewhere."""
    recipe = suite.recipe.for_device(torch.device("cpu"))
    precision = torch.bfloat16 if recipe.precision == "bfloat16" else torch.float32
    try:
        splits = load_splits(dataset, data)
    except DataError:
        if dataset.shape is None:
            raise
        return made_up_sample(*dataset.shape, precision)
    if len(splits.held_out(suite.recipe.held_out, dataset.fingerprint)[1]) == 0 and any(validated_by(suite)):
        raise DataError("it has no validation set, and recipe.held_out is 0: hold some out, or choose epochs on test")
    return _real_sample(splits, precision)


def _said(shape: tuple[int, int, int]) -> str:
    return "×".join(map(str, shape))


def _troubles_with(suite: Suite, pair: str, model: nn.Module, weights: NetworkWeights) -> Iterator[Trouble]:
    trains = any(method.trains for method in suite.methods.values())
    if trains and not any(p.requires_grad for p in model.parameters()):
        yield Trouble("backbones", pair.partition(" on ")[0], "it has no parameter that could be trained")
    for label, method in suite.methods.items():
        for seed in range(suite.seed_count) if not method.trains else ():
            try:
                given = method.given_weights(seed)
                if given is not None:
                    taken(given, model, note=lambda text: None)
            except Exception as error:
                yield Trouble("methods", label, f"its weights do not fit {pair}: {error}")
                break
        if (message := _other_teacher(method, model)) is not None:
            yield Trouble("methods", label, f"its teacher is no network of {pair}: {message}")
        yield from _unknown_layers("methods", label, method, pair, weights)
    for label, noise in suite.noise.items():
        yield from _unknown_layers("noise", label, noise, pair, weights)


def _other_teacher(method: Method, model: nn.Module) -> str | None:
    """Return what differs between a network and what a method, or one inside it, learns from; None where nothing does."""
    taught = method.teacher_weights()
    if taught is not None and (message := difference(stored_tensors(model), taught)):
        return message
    return next(filter(None, (_other_teacher(inner, model) for inner in inside(method))), None)


def _unknown_layers(
    section: str, label: str, component: Method | NoiseModel, pair: str, weights: NetworkWeights
) -> Iterator[Trouble]:
    for name in type(component).model_fields:
        value = getattr(component, name)
        if isinstance(value, Method | NoiseModel):
            yield from _unknown_layers(section, label, value, pair, weights)
        if isinstance(value, Scale):
            try:
                if not value.layers.of(weights) and value.layers.digital:
                    yield Trouble(section, label, f"scale.layers: nothing is left on the device ({pair})")
            except ValueError as error:
                yield Trouble(section, label, f"{error} ({pair})")
