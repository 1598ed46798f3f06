"""Landscapes: the loss around the weights, in units of each filter's own length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import cos, pi, sin
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from nrbench import NOT_IN_KEY, Chips, GridProbe, Images, NamedSplits, Network, NoiseModel, Weights
from nrbench_probes.curvature import dot
from nrbench_probes.images import ImageProbe
from nrbench_probes.sharpness import mean_loss

ANGLES = 16
_SOURCE = "Li et al. 2018, Visualizing the Loss Landscape of Neural Nets, section 4"


class Flatness(ImageProbe):
    """The mean rise of the loss on a circle around the weights, in a plane of two random filter-normalised directions.

    The radius is the mean ‖ε‖ of the noise model ÷ ‖w‖, in units of the length of the weights that move: a step of 1 along
    a direction is as long as they are.
    """

    name: Literal["flatness"] = "flatness"
    numbers: ClassVar[tuple[str, ...]] = ("rise", "radius")
    paper: ClassVar[str] = _SOURCE

    noise: NoiseModel
    """What gives the radius."""
    draws: int = Field(default=3, ge=1)
    """Noisy copies that ‖ε‖ is the mean of."""
    angles: int = Field(default=16, ge=3)
    """Points of the circle, at equal distances."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, 1 + self.angles)

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        plane = direction(network, chips, 0), direction(network, chips, 1)
        return ring(network, self.part(data), plane, self.noise, chips, draws=self.draws, angles=self.angles)


class Landscape(ImageProbe, GridProbe):
    """The loss at w + a·d₁ + b·d₂ on a square grid of (a, b), for two random directions d with the filters' own lengths.

    Every filter of d is as long as that of w; biases and the weights of normalisation stay where they are. The directions are
    the same for all networks of a seed. Each number is the loss at a point, `column,row` from 0, both from −reach to reach;
    in one dimension `column` alone.
    """

    name: Literal["loss_landscape"] = "loss_landscape"
    paper: ClassVar[str] = _SOURCE

    points: int = Field(default=25, ge=2, le=201)
    """Of a side."""
    reach: float = Field(default=1.0, gt=0)
    """How far the grid goes: at 1 the weights have moved by their own length."""
    dimensions: Literal[1, 2] = 2
    noise: NoiseModel | None = None
    """What gives `radius`, that of a circle in the same unit, and `rise`, the mean rise of the loss on it; see `flatness`."""
    epochs: Annotated[tuple[int, ...], NOT_IN_KEY] = ()
    """The epochs after which it is measured, the last one by default."""

    def due(self, epoch: int, epochs: int) -> bool:
        return epoch in self.epochs if self.epochs else epoch == epochs

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, self.points**self.dimensions + (0 if self.noise is None else 1 + ANGLES))

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images, plane = self.part(data), (direction(network, chips, 0), direction(network, chips, 1))
        found = {} if self.noise is None else ring(network, images, plane, self.noise, chips, draws=3, angles=ANGLES)
        for places in product(*(enumerate(axis) for axis in self.axes())):
            steps = [step for _, step in places]
            found[",".join(str(at) for at, _ in places)] = mean_loss(network.at(point(plane, *steps)), images)
        return found

    def axes(self) -> tuple[Sequence[float], ...]:
        last = self.points - 1
        steps = [self.reach * (2 * number - last) / last for number in range(self.points)]
        return (steps,) * self.dimensions


def ring(
    network: Network,
    images: Images,
    plane: tuple[Weights, ...],
    noise: NoiseModel,
    chips: Chips,
    *,
    draws: int,
    angles: int,
) -> dict[str, float]:
    """Return the radius that a noise model has in the units of a plane, and the mean rise of the loss on that circle."""
    copies = (network.under(noise, chips.chip("probe", draw)) for draw in range(draws))
    radius = sum(copy.displacement_norm or 0.0 for copy in copies) / draws / dot(plane[0], plane[0]) ** 0.5
    turns = [2 * pi * number / angles for number in range(angles)]
    losses = [mean_loss(network.at(point(plane, radius * cos(t), radius * sin(t))), images) for t in turns]
    return {"rise": sum(losses) / len(losses) - mean_loss(network, images), "radius": radius}


def direction(network: Network, chips: Chips, number: int) -> Weights:
    """Return a direction with normal entries, each filter of the length that it has in w; 0 for vectors and norms."""
    chance, found, weights = chips.chip("landscape", number), {}, network.weights()
    for name, weight in weights.items():
        if weight.ndim > 1 and name not in weights.layout.norms:
            drawn = chance.normal(name, weight.shape).to(weight)
            own, new = (tensor.flatten(1).norm(dim=1).view(-1, *[1] * (weight.ndim - 1)) for tensor in (weight, drawn))
            found[name] = drawn * (own / (new + 1e-10))
    return found


def point(plane: tuple[Weights, ...], *steps: float) -> Weights:
    """Return the displacement of so many steps along the first directions of a plane."""
    first, *others = zip(steps, plane, strict=False)
    total = {name: first[0] * tensor for name, tensor in first[1].items()}
    for step, one in others:
        total = {name: torch.add(tensor, one[name], alpha=step) for name, tensor in total.items()}
    return total
