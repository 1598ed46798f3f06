"""Optimizers: what moves the weights along the gradient that a method found."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from nrbench.base.component import ADDED_LATER, Component, canonical_fields
from nrbench.families.analog import norm_parameters


class Parameters(list[nn.Parameter]):
    """The parameters of a network, which know which of them belong to normalisations."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters())
        named = dict(model.named_parameters())
        self.norms = frozenset(id(named[name]) for name in norm_parameters(model))


class Optimizer(Component, family="optimizers"):
    """Family: an optimizer of torch's kind. Its learning rate follows the recipe's schedule."""

    lr: float = Field(gt=0)
    """Learning rate at the start."""
    decay: Annotated[Literal["all", "matrices"], ADDED_LATER] = "all"
    """What weight decay acts on: everything, or what has two dimensions and more and belongs to no norm."""

    def groups(self, parameters: Iterable[nn.Parameter]) -> Iterable[Any]:
        """Return parameters as torch's optimizers take them, those that are not to decay in a group of their own."""
        if self.decay == "all":
            return parameters
        each = list(parameters)
        norms = parameters.norms if isinstance(parameters, Parameters) else frozenset()
        matrices = [p for p in each if p.ndim > 1 and id(p) not in norms]
        chosen = {id(p) for p in matrices}
        groups: list[dict[str, Any]] = [
            {"params": matrices},
            {"params": [p for p in each if id(p) not in chosen], "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return torch's optimizer for these parameters.

        All that it remembers is in its `state`, tensors or numbers by parameter: that is what a checkpoint holds.
        """

    def identity(self) -> Any:
        """Return its fields as they stood in a recipe's key before optimizers were components; then its version."""
        fields = canonical_fields(self)
        return fields if self.version == 1 else fields | {"version": self.version}


class Sgd(Optimizer):
    """Stochastic gradient descent; weight decay is added to the gradient at w, before the momentum."""

    name: Literal["sgd"] = "sgd"
    lr: float = Field(default=0.05, gt=0)
    """Learning rate at the start."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Share of the last update that is kept."""
    weight_decay: float = Field(default=5e-4, ge=0)
    """Factor of w in the gradient, for all parameters."""
    nesterov: bool = False
    """Nesterov's momentum; it needs a momentum above 0."""

    @model_validator(mode="after")
    def _has_what_nesterov_needs(self) -> Sgd:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            self.groups(parameters), self.lr, self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate at the start."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Decay of the averages of the gradient and of its square."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Factor of w that a unit of learning rate takes away."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.groups(parameters), self.lr, self.betas, weight_decay=self.weight_decay)
