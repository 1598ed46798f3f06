"""How far one can go from the weights before the loss is as high as it may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from nrbench import Chips, NamedSplits, Network
from nrbench_probes.curvature import dot, normal
from nrbench_probes.images import ImageProbe
from nrbench_probes.sharpness import mean_loss


class CriticalLength(ImageProbe):
    """The shortest distance along a direction at which the mean loss reaches a level: 0 where it is there at the weights.

    The loss is looked at in equal strides and, in the first that reaches the level, by halving. Where none does there is
    no length, and `reached` is 0. Of random directions the length is the mean over those that reach it, `reached` the share.
    """

    name: Literal["critical_length"] = "critical_length"
    paper: ClassVar[str] = "Incorruptible Neural Networks (ICLR 2026 submission), section 5.1 and appendix E.4"

    level: float
    """The loss to be reached."""
    along: Literal["gradient", "random"] = "gradient"
    """The direction: up the gradient of the images, or independent normal entries."""
    longest: float = Field(default=10.0, gt=0)
    """How far is looked, over all weights."""
    strides: int = Field(default=20, ge=1)
    halvings: int = Field(default=8, ge=0)
    """It is right to longest/strides/2^halvings."""
    draws: int = Field(default=3, ge=1)
    """Random directions."""

    def passes(self, images: Mapping[str, int]) -> float:
        """Return the most that it may cost."""
        looks = 1 + self.strides + self.halvings
        return self.forwards(images, looks + 3 if self.along == "gradient" else 1 + self.draws * (looks - 1))

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images, count = self.part(data), 1 if self.along == "gradient" else self.draws
        if mean_loss(network, images) >= self.level:
            return {"length": 0.0, "reached": 1.0}
        found = []
        for draw in range(count):
            direction = network.gradient(images) if self.along == "gradient" else normal(network, chips, draw)
            unit = 1 / max(dot(direction, direction) ** 0.5, 1e-30)

            def is_there(length: float) -> bool:
                step = {name: (length * unit * part.double()).to(part.dtype) for name, part in direction.items()}  # noqa: B023
                return not mean_loss(network.at(step), images) < self.level  # what is no number is high enough

            stride = self.longest / self.strides
            first = next((number for number in range(1, self.strides + 1) if is_there(number * stride)), None)
            if first is None:
                continue
            low, high = (first - 1) * stride, first * stride
            for _ in range(self.halvings):
                middle = (low + high) / 2
                low, high = (low, middle) if is_there(middle) else (middle, high)
            found.append(high)
        lengths = {"length": sum(found) / len(found)} if found else {}
        return {**lengths, "reached": len(found) / count}
