"""Sharpness: by how much the loss rises around the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field

from nrbench import Chips, Images, NamedSplits, Network, NoiseModel, Weights
from nrbench_probes.images import ImageProbe

_PAPER = "Incorruptible Neural Networks (ICLR 2026 submission), "


class AverageSharpness(ImageProbe):
    """L_avg(w) = E_ε L(w + ε) − L(w), ε being the displacement of a noise model; beside it L(w)."""

    name: Literal["average_sharpness"] = "average_sharpness"
    numbers: ClassVar[tuple[str, ...]] = ("sharpness", "loss")
    paper: ClassVar[str] = f"{_PAPER}equation 4"

    noise: NoiseModel
    """What ε is drawn from."""
    draws: int = Field(default=5, ge=1)
    """How many ε the mean is taken over, the same ones for every network of a seed and at every epoch."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, 1 + self.draws)

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images, draws = self.part(data), self.draws if self.noise.random else 1
        loss = mean_loss(network, images)
        copies = (network.under(self.noise, chips.chip("probe", draw)) for draw in range(draws))
        return {"sharpness": sum(mean_loss(copy, images) for copy in copies) / draws - loss, "loss": loss}


class AscentSharpness(ImageProbe):
    """L_asc(w) = L(w + ρ·∇L(w)/‖∇L(w)‖) − L(w) on m images and their own gradient, as a mean over groups: m-sharpness."""

    name: Literal["ascent_sharpness"] = "ascent_sharpness"
    numbers: ClassVar[tuple[str, ...]] = ("sharpness", "loss")
    paper: ClassVar[str] = f"{_PAPER}equation 3; m-sharpness: Foret et al. 2021, section 3"

    rho: float = Field(gt=0)
    """The length of the step, over all weights."""
    group: int = Field(default=128, ge=1)
    """m: the images of a group; the batch of the training by default."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, 5)  # a gradient is three of them

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        rises, losses = [], []
        for images in groups(self.part(data), self.group):
            loss = mean_loss(network, images)
            rises.append(mean_loss(network.at(self.step(network, images)), images) - loss)
            losses.append(loss)
        return {"sharpness": sum(rises) / len(rises), "loss": sum(losses) / len(losses)}

    def step(self, network: Network, images: Images) -> Weights:
        """Return ε for a group of images."""
        return ascent(network.gradient(images), self.rho)


class AdaptiveSharpness(AscentSharpness):
    """L(w + ε) − L(w) for the ε that is first to raise the loss where ‖T⁻¹ε‖ ≤ ρ, with T = |w| + η, weight by weight.

    ε = ρ·T²∇L(w)/‖T∇L(w)‖: weights that are scaled up in one layer and down in the next have the same sharpness, but for η.
    """

    name: Literal["adaptive_sharpness"] = "adaptive_sharpness"  # type: ignore[assignment]
    paper: ClassVar[str] = "Kwon et al. 2021 (ASAM), equations 2 and 6"

    eta: float = Field(default=0.0, ge=0)
    """η, which lets weights of 0 move."""

    def step(self, network: Network, images: Images) -> Weights:
        gradient, weights = network.gradient(images), network.weights()
        scaled = {name: (weights[name].abs() + self.eta) * part for name, part in gradient.items()}
        return {name: (weights[name].abs() + self.eta) * part for name, part in ascent(scaled, self.rho).items()}


def mean_loss(network: Network, images: Images) -> float:
    """Return the mean loss over images."""
    return float(network.losses(images).double().mean())


def groups(images: Images, size: int) -> list[Images]:
    """Return the images in groups of this size or, where they do not go up, a little less."""
    count = -(-len(images) // size)
    parts = zip(images.images.tensor_split(count), images.labels.tensor_split(count), strict=True)
    return [Images(*part) for part in parts]


def ascent(gradient: Weights, rho: float) -> Weights:
    """Return the step of length ρ along a gradient; none where there is no gradient."""
    length = torch.stack(torch._foreach_norm(list(gradient.values()))).double().norm()
    factor = rho / length.clamp_min(1e-12)
    return {name: (factor * part).to(part.dtype) for name, part in gradient.items()}
