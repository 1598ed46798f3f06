"""The smallest network and data set, for the checks to work on; neither is registered."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import nn

from nrbench.families.backbone import Backbone
from nrbench.families.dataset import Dataset, Images, Splits


class TinyBackbone(Backbone):
    """A convolution, BatchNorm and a linear layer with a bias: the smallest network with every kind of parameter."""

    name: Literal["tiny"] = "tiny"

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        channels, height, width = input_shape
        return nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * height * width, num_classes),
        )


class TinyDataset(Dataset):
    """64 random images of 6×6 in three classes."""

    name: Literal["tiny"] = "tiny"

    def load(self, root: Path) -> Splits:
        chance = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (64, 2, 6, 6), generator=chance, dtype=torch.uint8)
        part = Images(images, torch.arange(64) % 3)
        return Splits(part, part, 3, (0.5, 0.5), (0.25, 0.25))
