"""Made-up images for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from nrbench import Dataset, Images, Splits


class Synthetic(Dataset):
    """Tests only: a random prototype for each class, seen through noise. Its numbers mean nothing."""

    name: Literal["synthetic"] = "synthetic"

    train_size: int = Field(default=256, ge=2)
    """Training images."""
    test_size: int = Field(default=128, ge=1)
    """Test images."""
    classes: int = Field(default=4, ge=2)
    """Classes, in equal numbers."""
    channels: int = Field(default=1, ge=1)
    """Colours."""
    size: int = Field(default=8, ge=2)
    """Height and width."""
    noise: float = Field(default=0.5, ge=0)
    """Standard deviation of the pixels around the prototype's, which is 1."""

    def load(self, root: Path) -> Splits:
        chance = torch.Generator().manual_seed(0)
        prototypes = torch.randn(self.classes, self.channels, self.size, self.size, generator=chance)

        def images(count: int) -> Images:
            labels = torch.arange(count) % self.classes
            seen: Tensor = prototypes[labels] + self.noise * torch.randn(
                count, self.channels, self.size, self.size, generator=chance
            )
            return Images((seen * 40 + 128).clamp(0, 255).to(torch.uint8), labels)

        grey = (0.5,) * self.channels
        return Splits(images(self.train_size), images(self.test_size), self.classes, grey, (0.2,) * self.channels)
