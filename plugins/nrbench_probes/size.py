"""The size of the weights, and of noise on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Chips, NamedSplits, Network, NoiseModel, Probe


class WeightSize(Probe):
    """‖w‖, max|w| and the root mean square of the weights and, with a noise model, ‖ε‖ and ‖ε‖ ÷ ‖w‖."""

    name: Literal["weight_size"] = "weight_size"
    numbers: ClassVar[tuple[str, ...]] = ("norm", "largest", "rms", "noise_norm", "noise_share")

    noise: NoiseModel | None = None
    """What ε is drawn from."""
    draws: int = Field(default=3, ge=1)
    """How many ε the mean is taken over."""

    def passes(self, images: Mapping[str, int]) -> float:
        return 0.0

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        weights = list(network.weights().values())
        length, count = _norm(weights), sum(weight.numel() for weight in weights)
        found = {
            "norm": length,
            "largest": max(float(weight.abs().max()) for weight in weights),
            "rms": length / count**0.5,
        }
        if self.noise is not None:
            copies = (network.under(self.noise, chips.chip("probe", draw)) for draw in range(self.draws))
            noise = sum(copy.displacement_norm or 0.0 for copy in copies) / self.draws
            found |= {"noise_norm": noise, "noise_share": noise / length if length else 0.0}
        return found


def _norm(tensors: Iterable[Tensor]) -> float:
    return float(torch.stack(torch._foreach_norm(list(tensors))).double().norm())
