"""Steps: one batch of a training, and what a method may do with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nrbench.base.chance import Chance
from nrbench.families.displacement import NONE, Weights, forward_at

State = dict[str, Any]
"""What a method remembers between steps: tensors, integers and floats by name; it travels in the checkpoint."""


BatchNormStatistics = Literal["first", "clean", "perturbed", "both"]
"""Which passes of a step update running statistics; a step without such a pass makes an extra forward pass at w."""


@dataclass(slots=True)
class Step:
    """One batch, and what a method may do with it."""

    model: nn.Module
    images: Tensor
    """Float tensor, batch × channels × height × width, augmented and normalised."""
    labels: Tensor
    criterion: Callable[[Tensor, Tensor], Tensor]
    progress: float
    """t/T for step t = 0 … T-1 of T."""
    chance: Chance
    state: State
    dropout_seed: int
    """All passes of a step share their dropout masks."""
    strength: float = 1.0
    """What every displacement of this step is multiplied with."""
    bn_statistics: BatchNormStatistics = "first"
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    passes: float = 0.0
    """Forward-backward passes over the batch so far: the cost of the step."""
    _statistics_updated: bool = field(default=False, init=False)

    def backward(self, delta: Weights = NONE, *, share: float = 1.0, rows: slice | None = None) -> Tensor:
        """Add share · ∇L(w + strength · δ) on those rows of the batch to each `.grad`; return the loss, detached."""
        images, labels = (self.images, self.labels) if rows is None else (self.images[rows], self.labels[rows])
        delta = delta if self.strength else NONE
        updates = self._updates_statistics(clean=not delta)
        torch.manual_seed(self.dropout_seed)
        with self.autocast():
            logits = forward_at(self.model, delta, images, scale=self.strength, frozen_buffers=not updates)
        loss = self.criterion(logits if logits.dtype == torch.float64 else logits.float(), labels)
        (loss if share == 1 else share * loss).backward()  # type: ignore[no-untyped-call]
        self.passes += len(labels) / len(self.labels)
        self._statistics_updated |= updates
        return loss.detach()

    def take_gradient(self, *, keep: float = 0.0) -> Weights:
        """Return the gradient gathered so far and leave `keep` times it behind."""
        gradient = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
        for name, parameter in self.model.named_parameters():
            parameter.grad = keep * gradient[name] if keep and name in gradient else None
        return gradient

    def weights(self) -> Weights:
        """Return the trainable weights w, detached, by name."""
        return {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}

    def finish(self) -> None:
        """Make the extra pass at w when no pass of this step was one that updates running statistics."""
        if self._statistics_updated or not any(True for _ in self.model.buffers()):
            return
        torch.manual_seed(self.dropout_seed)
        with torch.no_grad(), self.autocast():
            self.model(self.images)
        self.passes += 1 / 3  # a backward pass costs about two forward ones

    def _updates_statistics(self, *, clean: bool) -> bool:
        match self.bn_statistics:
            case "first":
                return self.passes == 0
            case "clean":
                return clean
            case "perturbed":
                return not clean
            case "both":
                return True
