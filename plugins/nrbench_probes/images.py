"""The images that a probe looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from nrbench import Images, Probe

Split = Literal["train", "validation", "test"]


class ImageProbe(Probe):
    """What the probes of this package have in common: a number of images of one split, always the same ones."""

    on: Split = "train"
    """The split: what is trained on, what is held out, or what is tested on."""
    images: Annotated[int, Field(ge=1)] = 1000
    """How many of its images; all of them where there are fewer."""

    def part(self, data: Mapping[Split, Images]) -> Images:
        """Return the images; a split is shuffled once, so that the first ones are of all classes."""
        return data[self.on][: self.images]

    def forwards(self, images: Mapping[str, int], times: float) -> float:
        """Return the cost of so many forward passes over the images, in forward-backward passes over one image."""
        return times * min(self.images, images[self.on]) / 3
