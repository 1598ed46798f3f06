"""Networks: a model at w or w + δ, and what may be asked of it without changing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from nrbench.base.chance import EvaluationChance
from nrbench.base.torch_state import unchanged
from nrbench.families.analog import Layout, NetworkWeights
from nrbench.families.dataset import Images
from nrbench.families.displacement import NONE, Weights, check_displacement, moved
from nrbench.families.loading import copy_into, same
from nrbench.families.noise import NoiseModel
from nrbench.families.step import Criterion

CALIBRATION_BATCH = 256
"""Images in a batch that BatchNorm's statistics are estimated on; the batches of a set have as many or a few more."""

States = Callable[[int], Weights]
"""What stands in for the model's own parameters and buffers at each read, each batch 0, 1, … of a pass; the batches that
BatchNorm's statistics are estimated on are the reads -1, -2, …"""


def _own(read: int) -> Weights:
    return NONE


def _calibration_read(states: States, batch: int) -> Weights:
    return states(-1 - batch)


@dataclass(frozen=True, slots=True)
class Network:
    """A model in evaluation mode at w or w + δ, and what may be asked of it without changing it."""

    model: nn.Module
    prepare: Callable[[Tensor], Tensor]
    """Turns uint8 images into the float tensors that the model sees."""
    criterion: Criterion
    batch: int
    """Images in a forward pass."""
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    layout: Layout | None = field(default=None, repr=False)
    """How the weights lie on the device; found by the types of the model's modules where it is not given."""
    start: Weights | None = field(default=None, repr=False)
    """The weights that the training began with, where a probe asks."""
    before: Weights | None = field(default=None, repr=False)
    """The weights after the epoch before, which is the beginning for the first; None where they are not known."""
    displaced: bool = False
    """Whether there is any δ."""
    displacement_norm: float | None = None
    """‖δ‖ of a chip."""
    _states: States = field(default=_own, repr=False)
    _weights: NetworkWeights = field(default=None, repr=False)  # type: ignore[assignment]

    _kept: Weights = field(default_factory=dict, repr=False)
    """What the weights were when they were loaded, to be compared and given back should a noise model write to them."""

    def __post_init__(self) -> None:
        """Look up the weights, which are asked for at every draw, once for all networks made from this one."""
        if self._weights is None:
            layout = self.layout or Layout.of(self.model)
            own = layout.weights_of(self.model)
            object.__setattr__(self, "layout", layout)
            object.__setattr__(self, "_weights", own)
            object.__setattr__(self, "_kept", {name: weight.clone() for name, weight in own.items()})

    def load(self, weights: Weights) -> Network:
        """Return the network with these parameters and buffers, which are written into its model."""
        copy_into(self.model, weights)
        return replace(self, _weights=None)  # type: ignore[arg-type]

    def weights(self) -> NetworkWeights:
        """Return the weights w by name, trained or not, detached, with how they lie on the device."""
        return self._weights

    @property
    def _layout(self) -> Layout:
        return self._weights.layout

    def at(self, delta: Weights = NONE) -> Network:
        """Return the network at w + δ; δ is added up once, here, and w itself is never written."""
        with torch.no_grad():
            state = moved(self.weights(), delta)
        return replace(self, _states=lambda read: state, displaced=bool(delta))

    def under(self, noise: NoiseModel, chip: EvaluationChance, *, watch: bool = False) -> Network:
        """Return the network as a simulated chip holds it, read anew in each batch where the noise model asks for that.

        While images pass there is memory for the chip's numbers and for w + δ, each of the size of the model. It knows
        ‖δ‖, that of the first read. Raise `ValueError` for a displacement that does not fit or is not finite, and, with
        everything as it was, if the noise model wrote to the weights or changed torch's switches; with `watch` also if
        it moved a global generator.
        """
        delta = self._drawn(noise, chip.anew(), watch=watch)
        network = replace(self.at(delta), displacement_norm=norm(delta.values()))
        if not noise.rereads:
            return network
        return replace(
            network,
            _states=lambda read: moved(self.weights(), self._drawn(noise, chip.anew(reads=read), watch=watch)),
            displaced=True,  # even if the first read displaces nothing
        )

    def recalibrated(self, images: Images) -> Network:
        """Return the network with BatchNorm's running statistics estimated anew on images, at its own w + δ."""
        batches = map(self.prepare, calibration_batches(images))
        states = partial(_calibration_read, self._states)
        buffers = estimated_statistics(self.model, states, batches, self.autocast, self._layout)
        return replace(self, _states=lambda read: {**self._states(read), **buffers})

    def buffers(self) -> Weights:
        """Return the buffers that it computes with by name, such as BatchNorm's running statistics: not the model's own."""
        own = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        return own | {name: tensor for name, tensor in self._states(0).items() if name in own}

    # -- what may be asked of it --------------------------------------------------------------------------------------

    @torch.inference_mode()
    def logits(self, images: Images) -> Tensor:
        """Return the logits of images at w + δ, in the run's precision: float tensor (count, classes)."""
        return torch.cat([logits.float() for logits, _ in self._outputs(images)])

    @torch.inference_mode()
    def counts(self, images: Images) -> int:
        """Return how many images are classified rightly; an output that is not finite is a wrong answer."""
        right = torch.zeros((), dtype=torch.int64, device=images.labels.device)
        for logits, labels in self._outputs(images):
            right += _right(logits, labels)
        return int(right.item())

    @torch.inference_mode()
    def counts_and_losses(self, images: Images) -> tuple[int, Tensor]:
        """Return what `counts` and `losses` do, in one pass."""
        right, found = torch.zeros((), dtype=torch.int64, device=images.labels.device), []
        for logits, labels in self._outputs(images):
            right += _right(logits, labels)
            found.append(self.criterion(logits.float(), labels, reduction="none"))
        return int(right.item()), torch.cat(found)

    @torch.inference_mode()
    def losses(self, images: Images) -> Tensor:
        """Return the loss of each image: float tensor (count,)."""
        found = [self.criterion(logits.float(), labels, reduction="none") for logits, labels in self._outputs(images)]
        return torch.cat(found)

    def gradient(self, images: Images) -> Weights:
        """Return the gradient of the mean loss over images with respect to the weights, at w + δ."""
        total = {name: torch.zeros_like(weight) for name, weight in self.weights().items()}
        for read, (batch, labels) in enumerate(self._batches(images)):
            state = {**self.weights(), **self._states(read)}
            leaves = {name: state[name].detach().requires_grad_() for name in total}
            with self.autocast():
                logits = self._layout.call(self.model, {**state, **leaves}, batch)
            loss = self.criterion(logits.float(), labels, reduction="none").sum() / len(images)
            found = torch.autograd.grad(loss, tuple(leaves.values()), allow_unused=True, materialize_grads=True)
            for name, part in zip(leaves, found, strict=True):
                total[name] += part
        return total

    def hessian_product(self, images: Images, direction: Weights) -> Weights:
        """Return H·v for the Hessian H of the mean loss over images with respect to the weights, at w + δ, and a direction v.

        A weight that v does not name is 0 in it. Computed in the weights' own precision: in bfloat16 little would be left
        of a second derivative.
        """
        total = {name: torch.zeros_like(weight) for name, weight in self.weights().items()}
        for read, (batch, labels) in enumerate(self._batches(images)):
            state = {**self.weights(), **self._states(read)}
            leaves = {name: state[name].detach().requires_grad_() for name in total}
            logits = self._layout.call(self.model, {**state, **leaves}, batch)
            loss = self.criterion(logits, labels, reduction="none").sum() / len(images)
            slopes = torch.autograd.grad(
                loss, tuple(leaves.values()), create_graph=True, allow_unused=True, materialize_grads=True
            )
            along = sum(
                (slope * direction[name]).sum() for name, slope in zip(leaves, slopes, strict=True) if name in direction
            )
            if isinstance(along, Tensor) and along.requires_grad:
                found = torch.autograd.grad(along, tuple(leaves.values()), allow_unused=True, materialize_grads=True)
                for name, part in zip(leaves, found, strict=True):
                    total[name] += part
        return total

    # -- how it is done -----------------------------------------------------------------------------------------------

    def _outputs(self, images: Images) -> Iterator[tuple[Tensor, Tensor]]:
        for read, (batch, labels) in enumerate(self._batches(images)):
            state = self._states(read)
            with self.autocast():
                yield self._layout.call(self.model, state, batch), labels

    def _batches(self, images: Images) -> Iterator[tuple[Tensor, Tensor]]:
        parts = zip(torch.split(images.images, self.batch), torch.split(images.labels, self.batch), strict=True)
        return ((self.prepare(batch), labels) for batch, labels in parts)

    def _drawn(self, noise: NoiseModel, chance: EvaluationChance, *, watch: bool = False) -> Weights:
        weights = self.weights()
        lent = NetworkWeights({name: weight.detach() for name, weight in weights.items()}, weights.layout)
        try:
            with torch.no_grad(), unchanged(noise.name, generators=watch):
                delta = noise.displacement(lent, chance=chance)
        finally:
            if written := not same(weights, self._kept):
                for name, weight in weights.items():
                    weight.copy_(self._kept[name])
        if written:
            raise ValueError(f"{noise.name} wrote to the weights it was given")
        if not (delta or noise.clean or weights.layout.layers):
            raise ValueError("nothing of this network lies on the device, so that no noise can move it")
        check_displacement(weights, delta)
        if not isfinite(norm(delta.values())):
            raise ValueError(f"the displacement of {noise.name} is not finite")
        return delta


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    return ((logits.argmax(1) == labels) & logits.isfinite().all(1)).sum()


def calibration_batches(images: Images) -> Iterator[Tensor]:
    """Yield uint8 images in equal batches, none of them smaller than `CALIBRATION_BATCH` where there are so many."""
    yield from images.images.tensor_split(max(1, len(images) // CALIBRATION_BATCH))


def estimated_statistics(
    model: nn.Module,
    states: States,
    batches: Iterable[Tensor],
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    layout: Layout | None = None,
) -> dict[str, Tensor]:
    """Return all buffers of a model, those of BatchNorm's running statistics estimated anew.

    They are the mean over the batches, each weighted by its images. `states` stand in for the model's own parameters and
    buffers in each batch 0, 1, …; the model keeps its own.
    """
    layout = layout or Layout.of(model)
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    anew = {f"{name}.{buffer}" for name, norm in norms.items() for buffer, _ in norm.named_buffers()}
    buffers = {
        name: torch.zeros_like(buffer) if name in anew else buffer.clone() for name, buffer in model.named_buffers()
    }
    momenta = {name: norm.momentum for name, norm in norms.items()}
    try:
        for norm in norms.values():
            norm.train()
        seen = 0
        with torch.no_grad():
            for read, batch in enumerate(batches):
                seen += len(batch)
                for norm in norms.values():
                    norm.momentum = len(batch) / seen
                with autocast():
                    layout.call(model, {**states(read), **buffers}, batch)
    finally:
        for name, norm in norms.items():
            norm.eval()
            norm.momentum = momenta[name]
    return buffers


def norm(tensors: Iterable[Tensor]) -> float:
    """Return the Euclidean norm of several tensors together."""
    each = list(tensors)
    return float(torch.stack(torch._foreach_norm(each)).double().norm()) if each else 0.0
