"""Steps: one batch of a training, and what a method may do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from nrbench.base.chance import Chance, seed_torch
from nrbench.families.analog import Layout, NetworkWeights, forward_at
from nrbench.families.displacement import NONE, Weights
from nrbench.families.masks import Draws, OfImages, draws_of
from nrbench.families.state import State

BatchNormStatistics = Literal["first", "clean", "perturbed", "both"]
"""Which passes of a step update running statistics; `first` is the first pass that covers the whole batch. A step without
such a pass makes an extra forward pass at w."""

Rows = slice | Tensor | None
"""Images of a batch: a slice, a tensor of their numbers, or all of them."""


class Criterion(Protocol):
    """A loss of logits and labels, such as torch's cross entropy."""

    def __call__(self, logits: Tensor, labels: Tensor, *, reduction: str = "mean") -> Tensor:
        """Return the mean loss of the batch or, with the reduction "none", the loss of each image."""


class Batch(NamedTuple):
    """Images, a float tensor of batch × channels × height × width, augmented and normalised, and their labels."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Clock:
    """When a step is made."""

    step: int = 0
    """0 for the first step of the training."""
    steps_per_epoch: int = 1
    total: int = 1
    """Steps of the whole training."""
    lr: float = 0.0
    """The learning rate in force."""
    images: int = 1
    """Training images."""
    lr_factor: float = 1.0
    """The learning rate in force, as a factor of that which the optimizer is given."""

    @property
    def progress(self) -> float:
        """t/T for step t = 0 … T-1 of T."""
        return self.step / self.total


@dataclass(slots=True)
class _Passes:
    """What all views of a step have in common: what it has cost, and whether running statistics have been updated."""

    made: float = 0.0
    statistics_updated: bool = False
    batches: int = 1
    displacement: tuple[Weights, float] = (NONE, 0.0)
    """The last δ that a pass was made at and what it was multiplied by, where somebody watches."""


def part_sizes(count: int, size: int, *, fewest: int = 2) -> list[int]:
    """Return the sizes of the parts of so many images: a last one of fewer, of which BatchNorm has no variance, joins."""
    sizes = [min(size, count - start) for start in range(0, count, size)]
    return [*sizes[:-2], sizes[-2] + sizes[-1]] if len(sizes) > 1 and sizes[-1] < min(fewest, size) else sizes


def _no_more(index: int) -> Batch:
    raise ValueError("there is no further batch here")


@dataclass(frozen=True, slots=True)
class Step:
    """One batch, and what a method may do with it. `scaled`, `within` and `more` give other views of the same step."""

    model: nn.Module
    images: Tensor
    """Float tensor, batch × channels × height × width, augmented and normalised."""
    labels: Tensor
    criterion: Criterion
    chance: Chance
    state: State
    optimizer: torch.optim.Optimizer
    clock: Clock = Clock()
    dropout_seed: int = 0
    """All passes of a step share their dropout masks, image by image."""
    strength: float = 1.0
    """What every displacement of this step is multiplied with."""
    bn_statistics: BatchNormStatistics = "first"
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    micro_batch: int | None = None
    """Images that a pass takes at once, all by default."""
    fewest: int = 1
    """Images that a pass takes at least: 2 where there is BatchNorm, which knows no variance of one."""
    layout: Layout | None = field(default=None, repr=False)
    """How the model's weights lie on the device; found by the types of its modules where it is not given."""
    draws: Callable[[Step], Draws] | None = field(default=None, repr=False)
    """Returns what a pass draws at random, for passes over a part of the batch; by default `draws_in_training`."""
    watched: bool = False
    """Whether the last displacement is kept until the step is over, for observers."""
    further: Callable[[int], Batch] = field(default=_no_more, repr=False)
    """The further batches of this step, 1, 2, …; see `more`."""
    _passes: _Passes = field(default_factory=_Passes, repr=False)

    @property
    def progress(self) -> float:
        """How far the training is, from 0 to below 1."""
        return self.clock.progress

    @property
    def passes(self) -> float:
        """Forward-backward passes over a batch so far: the cost of the step."""
        return self._passes.made

    @property
    def displacement(self) -> Weights:
        """The last displacement that a pass of this step was made at, at its strength; none where nobody has `watched`."""
        delta, strength = self._passes.displacement
        return {name: strength * tensor.detach() for name, tensor in delta.items()}

    # -- passes -------------------------------------------------------------------------------------------------------

    def backward(self, delta: Weights = NONE, *, share: float = 1.0, rows: Rows = None, fixed: bool = False) -> Tensor:
        """Add share · ∇L(w + strength · δ) on those rows of the batch to each `.grad`; return the loss, detached.

        A `fixed` displacement is taken as it is, whatever the strength.
        """
        count = len(self.labels if rows is None else self.labels[rows])
        total = torch.zeros((), device=self.labels.device)
        for logits, labels in self._passed(delta, rows, fixed):
            part = 1.0 if len(labels) == count else len(labels) / count
            loss = self.criterion(logits, labels)
            (loss if share * part == 1 else share * part * loss).backward()  # type: ignore[no-untyped-call]
            total = loss.detach() if part == 1 else total + part * loss.detach()
        self._passes.made += count / len(self.labels)
        return total

    def backward_each(self) -> Tensor:
        """Add ∇L(w) to each `.grad` and return the loss of each image, detached: float tensor (batch,)."""
        found = []
        for logits, labels in self._passed(NONE, None, False):
            losses = self.criterion(logits, labels, reduction="none")
            (losses.sum() / len(self.labels)).backward()  # type: ignore[no-untyped-call]
            found.append(losses.detach())
        self._passes.made += 1
        return torch.cat(found)

    def losses(self, delta: Weights = NONE, *, rows: Rows = None, fixed: bool = False) -> Tensor:
        """Return the loss of each of those images at w + strength · δ, with its graph: float tensor (rows,).

        It counts as a pass or, where torch records no gradients, as a third of one: a backward pass costs about two
        forward ones.
        """
        losses = [self.criterion(*each, reduction="none") for each in self._passed(delta, rows, fixed)]
        count = sum(map(len, losses))
        self._passes.made += (1.0 if torch.is_grad_enabled() else 1 / 3) * count / len(self.labels)
        return losses[0] if len(losses) == 1 else torch.cat(losses)

    def output(self, weights: Weights) -> Tensor:
        """Return the logits of the batch at other parameters and buffers, in evaluation mode, detached; a third of a pass."""
        trains = self.model.training
        self.model.eval()
        try:
            with torch.no_grad(), self.autocast():
                parts = torch.split(self.images, self._sizes(len(self.images)))
                logits = torch.cat([self._layout().call(self.model, dict(weights), part) for part in parts])
        finally:
            self.model.train(trains)
        self._passes.made += 1 / 3
        return logits if logits.dtype == torch.float64 else logits.float()

    def gradient_at(self, delta: Weights = NONE) -> tuple[Tensor, Weights]:
        """Return the loss of the batch and its gradient at w + δ, of all parameters that are trained, for who watches.

        Running statistics stay as they are, and the step counts no pass.
        """
        parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        total = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
        mean = torch.zeros((), device=self.labels.device)
        for logits, labels in self._logits(delta, None, frozen=True):
            loss = self.criterion(logits, labels) * (len(labels) / len(self.labels))
            found = torch.autograd.grad(loss, tuple(parameters.values()), allow_unused=True, materialize_grads=True)
            for name, part in zip(parameters, found, strict=True):
                total[name] += part
            mean += loss.detach()
        return mean, total

    def loss_at(self, delta: Weights = NONE) -> Tensor:
        """Return the loss of the batch at w + δ, a scalar, for who watches: nothing is updated and no pass counted."""
        with torch.no_grad():
            parts = [self.criterion(*each) * len(each[1]) for each in self._logits(delta, None, frozen=True)]
        return torch.stack(parts).sum() / len(self.labels)

    def _passed(self, delta: Weights, rows: Rows, fixed: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the logits of images at w + strength · δ with their labels, a part that fits into memory at a time."""
        clean = self._is_clean(delta, fixed)
        whole = self._covers(rows)
        scale = 1.0 if fixed else self.strength
        if self.watched and not clean:
            self._passes.displacement = delta, scale
        updates = self._updates_statistics(clean=clean, whole=whole)
        yield from self._logits(NONE if clean else delta, rows, scale=scale, frozen=not updates)
        self._passes.statistics_updated |= updates

    def _logits(
        self, delta: Weights, rows: Rows, *, scale: float = 1.0, frozen: bool
    ) -> Iterator[tuple[Tensor, Tensor]]:
        images, labels = (self.images, self.labels) if rows is None else (self.images[rows], self.labels[rows])
        sizes = self._sizes(len(labels))
        if rows is None and len(sizes) == 1:
            yield self._forward(delta, images, scale, frozen), labels
            return
        draws = (self.draws or draws_in_training)(self)
        numbers = torch.arange(len(self.labels), device=labels.device)[slice(None) if rows is None else rows]
        for x, y, part in zip(*(torch.split(each, sizes) for each in (images, labels, numbers)), strict=True):
            with OfImages(draws, part, len(self.labels)) if draws else nullcontext():
                logits = self._forward(delta, x, scale, frozen)
            yield logits, y

    def _forward(self, delta: Weights, images: Tensor, scale: float, frozen: bool) -> Tensor:
        seed_torch(self.dropout_seed, images.device)
        with self.autocast():
            logits = forward_at(self.model, delta, images, scale=scale, frozen_buffers=frozen, layout=self._layout())
        return logits if logits.dtype == torch.float64 else logits.float()

    def _sizes(self, count: int) -> list[int]:
        return part_sizes(count, max(self.micro_batch or count, self.fewest), fewest=self.fewest)

    def _is_clean(self, delta: Weights, fixed: bool) -> bool:
        return not delta or not (self.strength or fixed)

    def _covers(self, rows: Rows) -> bool:
        """Whether rows are the whole batch."""
        size = len(self.labels)
        if rows is None or len(self.labels[rows]) != size:
            return rows is None
        return not isinstance(rows, Tensor) or len(set(torch.arange(size)[rows.cpu()].tolist())) == size

    def _updates_statistics(self, *, clean: bool, whole: bool) -> bool:
        match self.bn_statistics:
            case "first":
                return whole and not self._passes.statistics_updated
            case "clean":
                return clean
            case "perturbed":
                return not clean
            case "both":
                return True

    def finish(self) -> None:
        """Make the extra pass at w when no pass of this step was one that updates running statistics."""
        if self._passes.statistics_updated or not any(True for _ in self.model.buffers()):
            return
        with torch.no_grad():
            for _ in self._logits(NONE, None, frozen=False):
                pass
        self._passes.made += 1 / 3

    # -- the weights and their gradient -------------------------------------------------------------------------------

    def weights(self) -> NetworkWeights:
        """Return the weights w by name, trained or not, detached, with how they lie on the device."""
        return self._layout().weights_of(self.model)

    def _layout(self) -> Layout:
        return self.layout or Layout.of(self.model)

    def take_gradient(self, *, keep: float = 0.0) -> Weights:
        """Return the gradient gathered so far and leave `keep` times it behind."""
        gradient = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
        for name, parameter in self.model.named_parameters():
            parameter.grad = keep * gradient[name] if keep and name in gradient else None
        return gradient

    def put_gradient(self, gradient: Weights) -> None:
        """Let this be the gradient; a weight that is not named has none. Raise `ValueError` for what is no weight's."""
        parameters = dict(self.model.named_parameters())
        for name, tensor in gradient.items():
            if name not in parameters or parameters[name].shape != tensor.shape:
                raise ValueError(f"a gradient of {name}, {tuple(tensor.shape)}, which is no weight of the model")
        for name, parameter in parameters.items():
            parameter.grad = gradient.get(name)

    # -- other views of the step --------------------------------------------------------------------------------------

    def scaled(self, factor: float) -> Step:
        """Return this step at another strength, for a method inside a ramp, say."""
        return replace(self, strength=self.strength * factor)

    def within(self, name: str) -> Step:
        """Return this step for a method inside another, with a state and a chance of its own.

        It is the same view for the same name, so what is done twice has two names.
        """
        return replace(self, state=self.state.within(name), chance=self.chance.part(name))

    def more(self) -> Step:
        """Return this step with a further batch, for methods that need several for one update."""
        number = self._passes.batches
        batch = self.further(number)
        self._passes.batches += 1
        seed = (self.dropout_seed + number) & 0xFFFF_FFFF
        return replace(self, images=batch.images, labels=batch.labels, dropout_seed=seed)


def draws_in_training(step: Step) -> Draws:
    """Return what a pass of a step's network draws at random in training, found on its first images; nothing is changed.

    Raise `ValueError` for a compiled network that draws, since it does so by itself, the same for every part of a batch.
    """

    def passed(count: int) -> None:
        images = step.images[torch.arange(count, device=step.images.device) % len(step.images)]
        with torch.no_grad():
            step._forward(NONE, images, 1.0, True)

    if step.model._compiled_call_impl is None:
        return draws_of(passed, max(step.fewest, 2))
    state = torch.cuda.get_rng_state if step.images.is_cuda else torch.random.get_rng_state
    seed_torch(step.dropout_seed, step.images.device)
    before = state()
    passed(max(step.fewest, 2))
    if not torch.equal(before, state()):
        raise ValueError(
            "a compiled network draws the same dropout masks for every part of a batch: set compile: false, or take the "
            "batch as a whole"
        )
    return ()
