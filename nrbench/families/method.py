"""Methods: what stands where `loss.backward()` stood in a training step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import model_validator
from torch import Tensor

from nrbench.base.chance import Chance
from nrbench.base.component import ADDED_LATER, Component
from nrbench.families.analog import NetworkWeights
from nrbench.families.displacement import Perturbation, Weights
from nrbench.families.loading import same
from nrbench.families.noise import NoiseModel
from nrbench.families.optimizer import Optimizer
from nrbench.families.state import State
from nrbench.families.step import Clock, Step

Statistics = tuple[float, ...]


class Method(Component, family="methods"):
    """Family: how the gradient of a step is found. The trainer owns data, optimizer, learning rate and checkpoint."""

    rampable: ClassVar[bool] = True
    """Whether strength 0 makes it bit-equal to SGD in one pass; only such a method can be ramped."""
    trains: ClassVar[bool] = True
    """Whether there is anything to train; a method that does not train gives the weights that are judged."""
    reestimates: ClassVar[bool] = False
    """Whether BatchNorm's running statistics are estimated anew for `evaluation_weights`, on training images."""

    moves_itself: ClassVar[bool] = False
    """Whether its `update` moves the weights without `step.optimizer`."""

    optimizer: Annotated[Optimizer | None, ADDED_LATER] = None
    """What moves the weights; by default the recipe's optimizer."""

    @property
    def seeds(self) -> int | None:
        """How many seeds there are weights for, where a method does not train; None, as by default, for any number."""
        return None

    @abstractmethod
    def backward(self, step: Step) -> Tensor:
        """Fill every `.grad`, which is None at the start, and return the loss that was differentiated, detached."""

    def update(self, step: Step) -> None:
        """Move the weights along `.grad`. A method may clip them afterwards, or leave the update out."""
        step.optimizer.step()

    def planned_passes(self) -> float:
        """Return the forward-backward passes per step that a plan counts with; what a step made is measured."""
        return 1.0

    def passes_at(self, clock: Clock, strength: float = 1.0) -> float:
        """Return the passes that a plan counts with for one step: `planned_passes`, and 1 at strength 0.

        A method whose passes change with the training says its own, and one around others asks theirs.
        """
        return self.planned_passes() if strength or not self.rampable else 1.0

    def given_weights(self, seed: int) -> Weights | None:
        """Return parameters and buffers that were trained elsewhere, by name; None, as by default, has them trained."""
        return None

    def teacher_weights(self) -> Weights | None:
        """Return the parameters and buffers, by name, of a trained network of the same kind that the method learns from."""
        return None

    @property
    def input_statistics(self) -> tuple[Statistics, Statistics] | None:
        """Mean and standard deviation of each colour that the weights were trained with; None: those of the data set.

        They are in units of the full range of a pixel, 0 … 1; a single one is for all colours.
        """
        return None

    @property
    def expected(self) -> float | None:
        """The clean accuracy, in %, that whoever trained the weights measured; the board says when it is another."""
        return None

    def evaluation_weights(self, state: State) -> Weights | None:
        """Return the weights to be judged, such as a running average; None means the weights as trained."""
        return None

    @model_validator(mode="after")
    def _is_trained(self) -> Self:
        for method in inside(self):
            if not method.trains:
                raise ValueError(f"{method.name} is not trained, so that nothing can be made of its steps")
        if self.optimizer is not None and moves_itself(self):
            raise ValueError(f"the optimizer of {moves_itself(self)} is a part of it, and another would move nothing")
        own_optimizer(self)
        return self


def own_optimizer(method: Method) -> Optimizer | None:
    """Return the optimizer of a method or else of the methods inside it, None where none has one.

    Raise `ValueError` when those inside have different ones.
    """
    if method.optimizer is not None:
        return method.optimizer
    found = {own for inner in inside(method) if (own := own_optimizer(inner)) is not None}
    if len(found) > 1:
        raise ValueError("the methods inside it have different optimizers; say here which one moves the weights")
    return next(iter(found), None)


def moves_itself(method: Method) -> str:
    """Return the name of a method, or of one inside it, that needs no optimizer; nothing where there is none."""
    return method.name if method.moves_itself else next(filter(None, map(moves_itself, inside(method))), "")


def is_rampable(method: Method) -> bool:
    """Whether strength 0 makes a method, and every one inside it, SGD in one pass."""
    return method.rampable and all(map(is_rampable, inside(method)))


def reestimates(method: Method) -> bool:
    """Whether a method, or one inside it, asks for new running statistics for its evaluation weights."""
    return method.reestimates or any(map(reestimates, inside(method)))


def inside(value: Any) -> Iterator[Method]:
    """Yield the methods that are fields of a method, alone or in lists and maps."""
    fields: Iterable[Any] = ()
    if isinstance(value, Method):
        fields = (getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, tuple | list):
        fields = value
    elif isinstance(value, dict):
        fields = value.values()
    for item in fields:
        yield from [item] if isinstance(item, Method) else inside(item)


def displaced_backward(
    step: Step, perturbation: Perturbation | NoiseModel, *, mix: float = 1.0, samples: int = 1
) -> Tensor:
    """Fill the gradient with mix · ∇L(w + strength · δ) + (1 - mix) · ∇L(w) and return the loss at the displaced weights.

    `samples` splits the batch into as many parts, each of which meets a δ of its own (Bisla et al. 2022, LPF-SGD); into
    fewer where a part would have fewer images than a pass takes.
    At strength 0 this is one plain backward pass.
    """
    if step.strength == 0:
        return step.backward()
    gradient = None
    if mix < 1 or (isinstance(perturbation, Perturbation) and perturbation.needs_gradient):
        step.backward()
        gradient = step.take_gradient(keep=1 - mix)
    size, weights = len(step.labels), step.weights()
    parts = max(min(samples, size // step.fewest), 1)
    edges = [size * part // parts for part in range(parts + 1)]
    loss = torch.zeros((), device=step.labels.device)
    for part, (start, stop) in enumerate(pairwise(edges)):
        chance = step.chance.sample(part) if part else step.chance
        # what is written by `.data` or NumPy raises no version: the first step of a training compares the weights
        delta = _delta(perturbation, weights, gradient, chance, first=step.clock.step == part == 0)
        share = (stop - start) / size
        rows = None if parts == 1 else slice(start, stop)
        loss = loss + share * step.backward(delta, share=mix * share, rows=rows)
    return loss


def _delta(
    perturbation: Perturbation | NoiseModel,
    weights: NetworkWeights,
    gradient: Weights | None,
    chance: Chance,
    *,
    first: bool,
) -> Weights:
    if isinstance(perturbation, NoiseModel):
        written = [weight._version for weight in weights.values()]
        kept = {name: weight.clone() for name, weight in weights.items()} if first else {}
        delta = perturbation.displacement(weights, chance=chance)
        if [weight._version for weight in weights.values()] != written or not same(weights, kept):
            raise ValueError(f"{perturbation.name} wrote to the weights it was given")
        if not (delta or perturbation.clean or weights.layout.layers):
            raise ValueError("nothing of this network lies on the device, so that no noise can move it")
        return delta
    return perturbation.displacement(weights, gradient=gradient, chance=chance)
