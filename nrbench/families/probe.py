"""Probes: what is measured of a network after an epoch, without changing its training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field
from torch import Tensor

from nrbench.base.chance import Chips
from nrbench.base.component import ADDED_LATER, NOT_IN_KEY, Component, canonical_fields
from nrbench.families.dataset import Images
from nrbench.families.displacement import NONE, Weights
from nrbench.families.network import Network
from nrbench.families.noise import NoiseModel
from nrbench.families.step import Step

NamedSplits = Mapping[Literal["train", "validation", "test"], Images]
"""The images that a probe may look at, shuffled once so that their order does not follow the classes."""


class Probe(Component, family="probes"):
    """Family: numbers measured of a network after each epoch. They are in no key of a training, and change nothing in it.

    What a probe asked for later needs is measured on the weights that were kept, so that nothing is trained again.
    """

    numbers: ClassVar[tuple[str, ...]] = ()
    """The names of all that it may measure; nothing where they are not known beforehand."""

    every: Annotated[int, NOT_IN_KEY] = Field(default=1, ge=1)
    """Epochs from one measurement to the next; the last epoch is measured in any case. It changes no number."""

    def due(self, epoch: int, epochs: int) -> bool:
        """Whether it is measured after an epoch 1, 2, … of so many."""
        return epoch % self.every == 0 or epoch == epochs

    def passes(self, images: Mapping[str, int]) -> float:
        """Return what a measurement costs, in forward-backward passes over one image, given the number of each split.

        A forward pass alone is a third of one. By default the training images once forward.
        """
        return images["train"] / 3

    @abstractmethod
    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        """Return finite numbers by name; all randomness is drawn from `chips`."""

    @classmethod
    def measured_together(
        cls, probes: Sequence[Self], network: Network, data: NamedSplits, chips: Chips
    ) -> list[dict[str, float]]:
        """Return what each of several probes of this class measures; where they can share work, override it."""
        return [probe.measured(network, data, chips) for probe in probes]


@dataclass(frozen=True, slots=True)
class ObservedStep:
    """A step of a training as a probe sees it: the method has found its gradient, and the weights have not moved yet."""

    step: Step
    gradient: Weights
    """What the method found, before it is clipped, and before weight decay and momentum."""
    loss: Tensor
    """The loss that the method differentiated, at the perturbed weights where it perturbs them; a scalar."""

    def displacement(self) -> Weights:
        """Return the last displacement that the method made a pass at, with its strength; nothing where it made none."""
        return self.step.displacement

    def weights(self) -> Weights:
        """Return the weights before the step, detached."""
        return {name: weight.detach() for name, weight in self.step.model.named_parameters()}

    def gradient_at(self, delta: Weights = NONE) -> tuple[Tensor, Weights]:
        """Return the loss of the step's batch and its gradient at w + δ, of all parameters that are trained; a pass.

        The network is in training mode, with the step's own dropout masks; running statistics stay as they are.
        """
        return self.step.gradient_at(delta)

    def loss_at(self, delta: Weights = NONE) -> Tensor:
        """Return the loss of the step's batch at w + δ in training mode, a scalar, without a gradient; a third of a pass."""
        return self.step.loss_at(delta)


class GridProbe(Probe):
    """A probe of numbers on a line or a plane around the weights: they are named by their places, "3" or "3,5", from 0."""

    @abstractmethod
    def axes(self) -> tuple[Sequence[float], ...]:
        """Return the coordinates of the places along each of one or two axes."""


class Observer(Probe):
    """A probe that sees every step of a training: numbers of each, averaged over the epoch.

    What is not kept of steps cannot be measured later: where a training is over, it has to be made again (`--force`).
    """

    steps: Annotated[int, ADDED_LATER] = Field(default=1, ge=1)
    """One step of so many is seen, the first of an epoch among them."""

    @abstractmethod
    def observed(self, step: ObservedStep) -> Mapping[str, Tensor | float]:
        """Return numbers by name; as tensors, so that no step waits for a device."""

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        raise LookupError("it sees the steps of a training, and this one was made without it; --force makes it again")


class Scoring(Probe):
    """How many images of a split are classified rightly under a noise model: what epochs are chosen by.

    The split, shuffled once, is cut into `draws` chunks and chunk m meets selection draw m: one pass over the images whose
    expectation is the accuracy under noise, with a variance of s²/draws + p(1-p)/N, where s is the standard deviation
    between draws.
    """

    name: Literal["scoring"] = "scoring"

    on: Literal["validation", "test"] = "validation"
    """The images."""
    draws: int = 50
    """Into how many chunks they are cut; there are never more than images."""
    noise: NoiseModel
    """What the weights meet."""

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        (found,) = self.measured_together([self], network, data, chips)
        return found

    @classmethod
    def measured_together(
        cls, probes: Sequence[Self], network: Network, data: NamedSplits, chips: Chips
    ) -> list[dict[str, float]]:
        """Scorings of one split and number of draws share each chip's random numbers."""
        correct = dict.fromkeys(probes, 0)
        for on, draws in dict.fromkeys((probe.on, probe.draws) for probe in probes):
            images = data[on]
            alike = [probe for probe in correct if (probe.on, probe.draws) == (on, draws)]
            chunks = min(draws, len(images))
            parts = zip(images.images.tensor_split(chunks), images.labels.tensor_split(chunks), strict=True)
            for draw, part in enumerate(parts):
                chip = chips.chip("selection", draw)
                for probe in alike:
                    correct[probe] += network.under(probe.noise, chip).counts(Images(*part))
        return [{"correct": correct[probe]} for probe in probes]

    def identity(self) -> Any:
        """Return its fields as they stood in records before scorings were components; then its version."""
        fields = canonical_fields(self)
        del fields["name"]
        return fields if self.version == 1 else fields | {"version": self.version}
