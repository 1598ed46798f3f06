"""Accuracy and loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from nrbench import Chips, NamedSplits, Network, NoiseModel
from nrbench_probes.images import ImageProbe


class Performance(ImageProbe):
    """Accuracy in percent and mean loss, without noise or as the mean over noisy copies."""

    name: Literal["performance"] = "performance"

    noise: NoiseModel | None = None
    """What the weights meet; nothing by default."""
    draws: int = Field(default=5, ge=1)
    """Noisy copies, where there is noise."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, 2 * (self.draws if self.noise is not None else 1))

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images = self.part(data)
        copies = [network]
        if self.noise is not None:
            draws = self.draws if self.noise.random else 1
            copies = [network.under(self.noise, chips.chip("probe", draw)) for draw in range(draws)]
        right = [100 * copy.counts(images) / len(images) for copy in copies]
        losses = [float(copy.losses(images).double().mean()) for copy in copies]
        return {"accuracy": sum(right) / len(right), "loss": sum(losses) / len(losses)}
