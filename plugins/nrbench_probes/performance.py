"""Accuracy and loss, and the yield of chips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from nrbench import Chips, NamedSplits, Network, NoiseModel
from nrbench_probes.images import ImageProbe, Split


class Performance(ImageProbe):
    """Accuracy in percent and mean loss, without noise or as the mean over noisy copies."""

    name: Literal["performance"] = "performance"
    numbers: ClassVar[tuple[str, ...]] = ("accuracy", "loss")

    noise: NoiseModel | None = None
    """What the weights meet; nothing by default."""
    draws: int = Field(default=5, ge=1)
    """Noisy copies, where there is noise."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, self.draws if self.noise is not None else 1)

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images = self.part(data)
        copies = [network]
        if self.noise is not None:
            draws = self.draws if self.noise.random else 1
            copies = [network.under(self.noise, chips.chip("probe", draw)) for draw in range(draws)]
        found = [copy.counts_and_losses(images) for copy in copies]
        return {
            "accuracy": sum(100 * right / len(images) for right, _ in found) / len(found),
            "loss": sum(float(losses.double().mean()) for _, losses in found) / len(found),
        }


class ChipYield(ImageProbe):
    """The share of noisy copies whose accuracy is within so many points of that without noise, in percent."""

    name: Literal["chip_yield"] = "chip_yield"

    on: Split = "test"
    noise: NoiseModel
    """What the weights meet."""
    draws: int = Field(default=20, ge=1)
    """Noisy copies."""
    within: float = Field(default=1.0, ge=0)
    """Points."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, 1 + self.draws)

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images, draws = self.part(data), self.draws if self.noise.random else 1
        clean = network.counts(images)
        counts = (network.under(self.noise, chips.chip("probe", draw)).counts(images) for draw in range(draws))
        good = sum(100 * (clean - count) <= self.within * len(images) for count in counts)
        return {"yield": 100 * good / draws}
