"""Two oracles that run a network: built twice it is the same, and a displaced pass is that of a plain edited copy.

Neither knows types of modules or names of functions. Whatever a network keeps, merges, draws or remembers, both paths have to
give the same numbers.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrbench.base.chance import seed_torch
from nrbench.families.analog import Layer, Layout, forward_at
from nrbench.families.computed import make_plain
from nrbench.families.dataset import Images
from nrbench.families.displacement import Weights
from nrbench.families.loading import stored_tensors
from nrbench.families.memory_format import lay_out, takes_channels_last
from nrbench.families.network import Network
from nrbench.families.sharing import overlap
from nrbench.suite.passes import check_output, check_passes, differ, training_writes_nothing

LOGITS = {torch.float32: 1e-4, torch.bfloat16: 0.05}
GRADIENTS = {torch.float32: 1e-2, torch.bfloat16: 0.2}
"""How far two computations of the same may differ by rounding, in units of the largest logit and of a tensor's gradient: they
are made in two memory formats. What is left out, merged twice or computed wrongly differs by the numbers themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a network is tried on."""

    images: Images
    """Two images at least."""
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    precision: torch.dtype = torch.float32

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.images.images.shape[1:]
        return channels, height, width

    def prepare(self, images: Tensor) -> Tensor:
        """Return uint8 images as the float tensors that a network sees, as a run normalises them."""
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return (images / 255 - mean) / std

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the precision that a run computes in, as a context."""
        return nullcontext() if self.precision == torch.float32 else torch.autocast("cpu", self.precision)


def built_twice(build: Callable[[], nn.Module], seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """Return a network and another build of it under the same seed; raise `ValueError` where they are not the same.

    The second is built while `hash` gives other numbers, as it does for texts in another process.
    """
    with torch.random.fork_rng([]):
        seed_torch(seed, torch.device("cpu"))
        first = build()
        seed_torch(seed, torch.device("cpu"))
        with _other_hashes():
            second = build()
    if shared := overlap(first, second):
        raise ValueError(f"built twice, both networks hold the same {shared}: training one would move the other")
    before, after = stored_tensors(first), stored_tensors(second)
    names = [*before, *(name for name in after if name not in before)]
    if different := [n for n in names if not (n in before and n in after and _equal(before[n], after[n]))]:
        raise ValueError(
            f"built twice under one seed, {different[0]} differs: it depends on something else than torch's generator, "
            "such as NumPy, the clock, a cache or the hash of a text"
        )
    return first, second


def _equal(first: Tensor, second: Tensor) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return torch.equal(first, second) or torch.equal(first.nan_to_num(), second.nan_to_num())


@contextmanager
def _other_hashes() -> Iterator[None]:
    """Let `hash` give other numbers than in this process, but to methods that say how an object is hashed."""
    usual = builtins.hash

    def other(value: object, /) -> int:
        own = usual(value)
        return own if sys._getframe(1).f_code.co_name == "__hash__" else usual((own, "another process"))

    builtins.hash = other
    try:
        yield
    finally:
        builtins.hash = usual


def check_network(
    build: Callable[[], nn.Module], stored: Callable[[nn.Module], Iterable[Layer]], sample: Sample
) -> tuple[nn.Module, Layout]:
    """Return a network that was built twice and run, and its layout; `stored` says which of its layers are on the device.

    Raise `ValueError` with the reason for one that cannot be trained and judged as it is.
    """
    model, twin = built_twice(build)
    layout = Layout.of(model, stored(model))
    check_passes(model, layout, sample.prepare(sample.images.images), sample.classes)
    check_same_pass(model, twin, layout, sample)
    return model, layout


def check_same_pass(model: nn.Module, twin: nn.Module, layout: Layout, sample: Sample) -> None:
    """Raise `ValueError` where a network at w or at w + δ is not what a plain edited copy of it is in plain torch.

    `twin` is another build of the model, which is used up. The model's weights are moved in training mode, as by steps, and
    stored after `eval()`; the twin is loaded with what was stored. Logits and gradients are those of the run's precision.
    """
    model.train()
    _move(dict(model.named_parameters()))
    here = _logits(_settled(model), sample)
    twin.train()
    twin.load_state_dict(model.state_dict())
    _same(
        here,
        _logits(_settled(twin), sample),
        sample,
        "what is stored of it gives other logits in a network built afresh",
    )
    network = Network(model, sample.prepare, criterion, 1, sample.autocast, layout)
    delta = {name: 0.25 * weight for name, weight in network.weights().items() if name not in layout.raw}
    moved = network.at(delta).logits(sample.images[:1])
    if torch.equal(moved, here):
        raise ValueError("its logits stay as they are when all of its weights move")
    for name in layout.computed:
        make_plain(twin, name)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            if name in delta:
                parameter.add_(delta[name])
    why = "with displaced weights it gives other logits than a plain copy that has them as its own"
    _same(moved, _logits(_settled(twin), sample), sample, why)
    displaced = partial(forward_at, model, delta, frozen_buffers=True, layout=layout)
    _check_gradients(displaced, model, twin, sample, ignored=layout.raw)
    model.eval()


def criterion(logits: Tensor, labels: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return the cross entropy."""
    return cross_entropy(logits, labels, reduction=reduction)


def _move(weights: Weights) -> None:
    """Move weights as the steps of a training would: none of them is 0 afterwards, or as large as it was."""
    with torch.no_grad():
        for weight in (weight for weight in weights.values() if weight.is_floating_point() and weight.numel()):
            weight.mul_(1.25).add_(weight.abs().amax().mul(0.02).clamp_min(0.01))


def _settled(model: nn.Module) -> nn.Module:
    """Return a model in evaluation after all that a run does to it between its passes: both modes begin, twice."""
    for _ in range(2):
        model.train()
        model.eval()
    return model


def _logits(model: nn.Module, sample: Sample) -> Tensor:
    with torch.inference_mode(), sample.autocast():
        found: Tensor = model(sample.prepare(sample.images.images[:1])).float()
    return found


def _same(first: Tensor, second: Tensor, sample: Sample, why: str) -> None:
    if differ(first, second, LOGITS[sample.precision]):
        raise ValueError(
            f"{why}: what it computes is no function of its parameters and buffers alone; does a layer prepare, merge or "
            "remember something when training or evaluation begins?"
        )


def _check_gradients(
    displaced: Callable[[Tensor], Tensor], model: nn.Module, twin: nn.Module, sample: Sample, *, ignored: Container[str]
) -> None:
    """Compare the gradient of a step at displaced weights with a plain copy's, in channels_last where a run takes that.

    Where the two differ, it is the displacement, or the kernels of channels_last, or only the rounding of BatchNorm's
    statistics of two images, which evaluation does not have.
    """
    model.train()
    twin.train()
    with training_writes_nothing(twin):
        theirs = {n: found for n, found in _gradient(twin, twin, sample).items() if n not in ignored}
    last = takes_channels_last(model) and any(parameter.ndim == 4 for parameter in model.parameters())
    if last:
        lay_out(model, torch.channels_last)
    name = _other(_gradient(displaced, model, sample), theirs, sample)
    if name and last:
        lay_out(model, torch.contiguous_format)
        name = _other(_gradient(displaced, model, sample), theirs, sample)
        _check_formats(displaced, model.eval(), sample)
    if name:
        raise ValueError(
            f"its gradient of {name} at displaced weights is another than that of a plain copy; is a part of it computed "
            "again in the backward pass, when the displacement is gone, by activation checkpointing or a function of its own?"
        )


def _check_formats(displaced: Callable[[Tensor], Tensor], model: nn.Module, sample: Sample) -> None:
    plain = _gradient(displaced, model, sample)
    lay_out(model, torch.channels_last)
    if name := _other(_gradient(displaced, model, sample), plain, sample):
        raise ValueError(
            f"its gradient of {name} in channels_last is another than in contiguous memory; set recipe.channels_last: false"
        )


def _other(ours: Weights, theirs: Weights, sample: Sample) -> str:
    """Return the name of a gradient that differs by more than rounding; nothing where none does."""
    least = 0.01 * float(torch.stack([tensor.norm() for tensor in theirs.values()] or [torch.zeros(())]).norm())
    limit = GRADIENTS[sample.precision]
    both = [name for name in ours if name in theirs]
    off = (n for n in both if not float((ours[n] - theirs[n]).norm()) <= limit * max(float(theirs[n].norm()), least))
    return next(off, "")


def _gradient(forward: Callable[[Tensor], Tensor], of: nn.Module, sample: Sample) -> Weights:
    """Return the gradient of the loss of the sample with respect to the parameters of a module, in its memory format."""
    own = {name: p for name, p in of.named_parameters() if p.requires_grad}
    last = any(p.ndim == 4 and not p.is_contiguous() for p in own.values())
    images = sample.prepare(sample.images.images)
    with torch.random.fork_rng([]), torch.enable_grad(), sample.autocast():
        seed_torch(0, torch.device("cpu"))
        output = forward(images.contiguous(memory_format=torch.channels_last) if last else images.contiguous())
        check_output(output, len(images), sample.classes)
        loss = cross_entropy(output.float(), sample.images.labels)
    found = torch.autograd.grad(loss, list(own.values()), allow_unused=True, materialize_grads=True)
    if sparse := [name for name, gradient in zip(own, found, strict=True) if gradient.layout != torch.strided]:
        raise ValueError(f"its gradient of {sparse[0]} is sparse, which no method adds up; build it with sparse=False")
    return dict(zip(own, found, strict=True))
