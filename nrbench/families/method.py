"""Methods: what stands where `loss.backward()` stood in a training step."""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from nrbench.base.component import Component
from nrbench.families.displacement import Perturbation, Weights
from nrbench.families.step import State, Step


class Method(Component, family="methods"):
    """Family: how the gradient of a step is found. The trainer owns data, optimizer, learning rate and checkpoint."""

    rampable: ClassVar[bool] = True
    """Whether strength 0 makes it bit-equal to SGD in one pass; only such a method can be ramped."""
    trains: ClassVar[bool] = True
    """Whether there is anything to train; a method that does not train gives the weights that are judged."""

    @property
    def seeds(self) -> int | None:
        """How many seeds there are weights for, where a method does not train; None, as by default, for any number."""
        return None

    @abstractmethod
    def backward(self, step: Step) -> Tensor:
        """Fill every `.grad`, which is None at the start, and return the loss that was differentiated, detached."""

    def planned_passes(self) -> float:
        """Return the forward-backward passes per step that a plan counts with; what a step made is measured."""
        return 1.0

    def after_update(self, step: Step) -> None:
        """Called once the optimizer has moved the weights; does nothing by default."""

    def given_weights(self, seed: int) -> Weights | None:
        """Return parameters and buffers that were trained elsewhere, by name; None, as by default, has them trained."""
        return None

    def evaluation_weights(self, state: State) -> Weights | None:
        """Return the weights to be judged, such as a running average; None means the weights as trained."""
        return None


def displaced_backward(step: Step, perturbation: Perturbation, *, mix: float = 1.0, samples: int = 1) -> Tensor:
    """Fill the gradient with mix · ∇L(w + strength · δ) + (1 - mix) · ∇L(w) and return the loss at the displaced weights.

    `samples` splits the batch into as many parts, each of which meets a δ of its own (Bisla et al. 2022, LPF-SGD).
    At strength 0 this is one plain backward pass.
    """
    if step.strength == 0:
        return step.backward()
    gradient = None
    if perturbation.needs_gradient or mix < 1:
        step.backward()
        gradient = step.take_gradient(keep=1 - mix)
    size, weights = len(step.labels), step.weights()
    edges = [size * part // samples for part in range(samples + 1)]
    loss = torch.zeros((), device=step.labels.device)
    for part, (start, stop) in enumerate(pairwise(edges)):
        if start == stop:
            continue
        chance = step.chance.sample(part) if part else step.chance
        delta = perturbation.displacement(weights, gradient=gradient, chance=chance)
        share = (stop - start) / size
        rows = None if samples == 1 else slice(start, stop)
        loss = loss + share * step.backward(delta, share=mix * share, rows=rows)
    return loss
