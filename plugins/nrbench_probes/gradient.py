"""The gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field

from nrbench import Chips, NamedSplits, Network
from nrbench_probes.images import ImageProbe
from nrbench_probes.sharpness import groups


class GradientNorm(ImageProbe):
    """‖∇L(w)‖ of groups of images, as a mean over them, in evaluation mode: without weight decay and momentum."""

    name: Literal["gradient_norm"] = "gradient_norm"
    numbers: ClassVar[tuple[str, ...]] = ("norm",)

    group: int = Field(default=128, ge=1)
    """The images of a group; the batch of the training by default."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, 3)

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        norms = []
        for images in groups(self.part(data), self.group):
            gradient = network.gradient(images)
            norms.append(float(torch.stack(torch._foreach_norm(list(gradient.values()))).double().norm()))
        return {"norm": sum(norms) / len(norms)}
