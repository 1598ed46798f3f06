"""Adaptive random weight perturbation."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Method, State, Step, Weights
from nrbench_methods.lpf_sgd import FilterNoise, increased
from nrbench_methods.vectors import is_vector


def adaptive_noise(step: Step, sigma: float, eta: float) -> Weights:
    """Return noise of each filter's size over √(1 + η · F), F being the sum of the squares in S that belong to the filter.

    S is what `remember` left in the step's state; a weight of which nothing is known yet has no divisor.
    """
    weights = step.weights()
    noise = FilterNoise(gamma=sigma).displacement(weights, gradient=None, chance=step.chance)
    known = {name: step.state[name] for name in noise if name in step.state}
    divisors = {name: _divisor(squares, eta, vector=is_vector(name, weights)) for name, squares in known.items()}
    return {name: part / divisors[name] if name in divisors else part for name, part in noise.items()}


def _divisor(squares: Tensor, eta: float, *, vector: bool) -> Tensor:
    by_filter = squares if vector else squares.sum(tuple(range(1, squares.ndim)), keepdim=True)
    return (1 + eta * by_filter).sqrt()


def remember(gradient: Weights, squares: State, decay: float) -> None:
    """Let S ← β · S + G², element by element; there is no 1 - β in it."""
    for name, part in gradient.items():
        squares[name] = torch.addcmul(decay * squares.get(name, torch.zeros_like(part)), part, part)


class ARWP(Method):
    """The gradient under filter noise that is smaller where past gradients were large; one pass.

    The sum over a filter is a sum and no mean, so that η means another thing in a larger filter, as published.
    """

    name: Literal["arwp"] = "arwp"
    paper: ClassVar[str] = (
        "Li et al. 2024, Revisiting Random Weight Perturbation for Efficiently Improving Generalization (eq. 9, 10)"
    )

    sigma: float = Field(default=0.01, ge=0)
    """The standard deviation, in norms of a filter."""
    eta: float = Field(default=0.1, ge=0)
    """The weight of past squared gradients; 0 is LPF-SGD."""
    decay: float = Field(default=0.99, ge=0, lt=1)
    """β: the share of them that a step keeps."""
    increase: float = Field(default=1.0, ge=0)
    """By how much σ grows in the course of the training, along a cosine; 11 in the authors' script, from 0.001."""

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        noise = adaptive_noise(step, self.sigma, self.eta)
        loss = step.scaled(increased(self.increase, step.progress)).backward(noise)
        gradient = {name: p.grad for name, p in step.model.named_parameters() if p.grad is not None}
        remember(gradient, step.state, self.decay)
        return loss
