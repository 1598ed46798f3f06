"""Sparse SAM."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Method, Step, Weights
from nrbench_methods.vectors import ascent


class SparseSAM(Method):
    """SAM that moves a part of the weights: ε = ρ · M ∘ g/‖g‖ with a mask M; two passes.

    The norm is that of the whole gradient. A `fisher` mask holds the weights with the largest squared gradients, summed
    over a few images, at first of the first batch. A `dynamic` one starts at random; each time it drops those of its
    weights with the smallest gradients and takes as many others at random, a share that falls to 0 along a cosine.
    """

    name: Literal["sparse_sam"] = "sparse_sam"
    paper: ClassVar[str] = (
        "Mi et al. 2022, Make Sharpness-Aware Minimization Stronger: A Sparsified Perturbation Approach"
    )

    rho: float = Field(default=0.1, ge=0)
    """The length that the ascent step would have with all weights."""
    sparsity: float = Field(default=0.5, ge=0, lt=1)
    """The share of the weights that stay where they are; 0 is SAM."""
    mask: Literal["fisher", "dynamic"] = "fisher"
    """How the weights that move are found."""
    every: int = Field(default=1, ge=1)
    """Epochs from one mask to the next."""
    samples: int = Field(default=16, ge=1)
    """Images that squared gradients are of, at most a batch; pairs where there is BatchNorm, with no variance of one."""
    drop: float = Field(default=0.5, ge=0, le=1)
    """The share of a dynamic mask that is replaced at the start of the training."""

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        squares = self._squares(step) if self._is_due(step) and self.mask == "fisher" else {}
        step.backward()
        gradient = step.take_gradient()
        if self._is_due(step):
            self._renew(step, squares or gradient)
        delta = ascent(gradient, self.rho)
        return step.backward(
            {name: part * step.state[name] if name in step.state else part for name, part in delta.items()}
        )

    def _is_due(self, step: Step) -> bool:
        return self.sparsity > 0 and (
            not len(step.state) or step.clock.step % (self.every * step.clock.steps_per_epoch) == 0
        )

    def _squares(self, step: Step) -> Weights:
        """Return the sums of squared gradients of single images, or pairs."""
        sums: dict[str, Tensor] = {}
        step = replace(step, bn_statistics="first")  # which no part of a batch updates
        stop = min(self.samples * step.fewest, len(step.labels) // step.fewest * step.fewest)
        for start in range(0, stop, step.fewest):
            step.backward(rows=slice(start, start + step.fewest))
            for name, part in step.take_gradient().items():
                sums[name] = part.square() if name not in sums else sums[name].addcmul_(part, part)
        return sums

    def _renew(self, step: Step, scores: Weights) -> None:
        """Put the new mask into the state, as ones and zeros."""
        total = sum(part.numel() for part in scores.values())
        kept = total - round(self.sparsity * total)
        flat = torch.cat([part.flatten() for part in scores.values()])
        if self.mask == "fisher":
            chosen = torch.zeros_like(flat).index_fill_(0, flat.topk(kept).indices, 1.0)
        else:
            chosen = self._exchanged(step, scores, flat.abs(), kept)
        parts = torch.split(chosen, [part.numel() for part in scores.values()])
        for (name, part), mask in zip(scores.items(), parts, strict=True):
            step.state[name] = mask.view(part.shape).clone()

    def _exchanged(self, step: Step, gradient: Weights, sizes: Tensor, kept: int) -> Tensor:
        """Return a mask with some of the old one replaced: the smallest by others, which chance puts first."""
        drawn = [step.chance.uniform(name, part.shape).to(part).flatten() for name, part in gradient.items()]
        chances, old = torch.cat(drawn), [step.state[name].flatten() for name in gradient if name in step.state]
        if len(old) < len(gradient):
            return torch.zeros_like(chances).index_fill_(0, chances.topk(kept).indices, 1.0)
        mask = torch.cat(old)
        count = min(round(self.drop * 0.5 * (1 + cos(pi * step.progress)) * kept), len(mask) - kept)
        dropped = torch.where(mask > 0, sizes, torch.inf).topk(count, largest=False).indices
        grown = torch.where(mask > 0, -1.0, chances).topk(count).indices
        return mask.index_fill(0, dropped, 0.0).index_fill_(0, grown, 1.0)
