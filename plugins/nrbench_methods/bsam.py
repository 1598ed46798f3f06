"""Bayes SAM."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Method, Step, Weights
from nrbench_methods.vectors import passes_in_parts, plus

_S, _G, _H = "s of ", "mean gradient of ", "h of "


class BSAM(Method):
    """A variational Adam with SAM's gradients, which keeps a normal distribution N(w, 1/(N·s)) of the weights; two passes.

    In each of `parts` parts of the batch: θ = w + z/√(N·s), ε = ρ · ∇L(θ)/s, G = ∇L(w + ε). With their means, h = mean
    √s·|∇L(θ)| and δ = `prior_precision`/N: m ← β₁m + (1 - β₁)(G + δw), w ← w - αm/s, s ← β₂s + (1 - β₂)(h + `damping` +
    δ). The optimizer is a part of it: α follows the recipe's schedule, and the recipe's optimizer moves nothing. Judged
    are the mean weights.
    """

    name: Literal["bsam"] = "bsam"
    rampable: ClassVar[bool] = False
    moves_itself: ClassVar[bool] = True
    paper: ClassVar[str] = "Möllenhoff and Khan 2023, SAM as an Optimal Relaxation of Bayes (algorithm 1)"

    rho: float = Field(default=0.01, ge=0)
    """The length of the ascent, which 1/s multiplies."""
    alpha: float = Field(default=0.5, gt=0)
    """The learning rate at the start."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """The shares of m and s that a step keeps."""
    prior_precision: float = Field(default=40.0, ge=0)
    """The precision of the prior, which is weight decay times N."""
    damping: float = Field(default=0.1, ge=0)
    """What is added to h."""
    s_init: float = Field(default=1.0, gt=0)
    """s at the start."""
    augmentation: float = Field(default=4.0, gt=0)
    """N is the number of training images times this, for what augmentation adds."""
    parts: int = Field(default=8, ge=1)
    """Into how many parts the batch is cut; fewer where a part would have fewer images than a pass takes."""

    def planned_passes(self) -> float:
        return 1 + passes_in_parts(self.parts)

    def backward(self, step: Step) -> Tensor:
        precision = self._precision(step)
        size, number = len(step.labels), self._number(step)
        parts = max(min(self.parts, size // step.fewest), 1)
        loss = torch.zeros((), device=step.labels.device)
        sums: dict[str, Tensor] = {}
        h: dict[str, Tensor] = {}
        for part in range(parts):
            rows, share = slice(size * part // parts, size * (part + 1) // parts), 1 / parts
            chance = step.chance.sample(part) if part else step.chance
            noise = {n: chance.normal(n, s.shape).to(s) * torch.rsqrt(number * s) for n, s in precision.items()}
            step.backward(noise, rows=rows)
            found = step.take_gradient()
            delta = {name: self.rho * g / precision[name] for name, g in found.items()}
            loss = loss + share * step.backward(delta, rows=rows)
            climbed = step.take_gradient()
            sums = plus(sums, climbed, share)
            if found:
                roots = torch._foreach_mul(torch._foreach_sqrt([precision[name] for name in found]), share)
                seen = torch._foreach_mul(roots, torch._foreach_abs(list(found.values())))
                h = plus(h, dict(zip(found, seen, strict=True)))
        step.put_gradient(sums)
        step.state.update({_H + name: each for name, each in h.items()})  # until the update
        return loss

    def update(self, step: Step) -> None:
        state, decay, (keep, keep_s) = step.state, self.prior_precision / self._number(step), self.betas
        moved = {n: p for n, p in step.model.named_parameters() if p.grad is not None and _H + n in state}
        if not moved:
            return
        weights, gradients = [p.detach() for p in moved.values()], [p.grad for p in moved.values()]
        known = self._precision(step)
        precision, h = [known[name] for name in moved], [state.pop(_H + name) for name in moved]
        before = [state.get(_G + n, torch.zeros_like(p)) for n, p in zip(moved, weights, strict=True)]
        decayed = torch._foreach_add(gradients, torch._foreach_mul(weights, decay))  # type: ignore[arg-type]
        means = torch._foreach_add(torch._foreach_mul(before, keep), torch._foreach_mul(decayed, 1 - keep))
        rate = self.alpha * step.clock.lr_factor
        torch._foreach_sub_(weights, torch._foreach_div(torch._foreach_mul(means, rate), precision))
        seen = torch._foreach_mul(torch._foreach_add(torch._foreach_add(h, self.damping), decay), 1 - keep_s)
        after = torch._foreach_add(torch._foreach_mul(precision, keep_s), seen)
        state.update({_G + name: mean for name, mean in zip(moved, means, strict=True)})
        state.update({_S + name: s for name, s in zip(moved, after, strict=True)})

    def _number(self, step: Step) -> float:
        return step.clock.images * self.augmentation

    def _precision(self, step: Step) -> Weights:
        trained = {name: p for name, p in step.model.named_parameters() if p.requires_grad}
        return {n: step.state.get(_S + n, torch.full_like(p.detach(), self.s_init)) for n, p in trained.items()}
