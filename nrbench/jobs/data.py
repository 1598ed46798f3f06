"""Data: the images that a training and the evaluation of its epochs work on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from nrbench.families.dataset import Images, Splits, load_splits, shuffled
from nrbench.families.memory_format import takes_channels_last
from nrbench.families.probe import NamedSplits
from nrbench.jobs.batches import Normalisation
from nrbench.suite.cell import Training

CALIBRATION_IMAGES = 1024


@dataclass(frozen=True, slots=True)
class Data:
    """The images of a training on its device."""

    train: Images
    """What it is trained on, in the order of the data set."""
    splits: NamedSplits
    """What networks are measured on: training, validation and test images, each shuffled once."""
    normalise: Normalisation
    num_classes: int
    device: torch.device

    @classmethod
    def of(cls, training: Training, root: Path, device: torch.device) -> Data:
        """Load the data set of a training and hold out what epochs are chosen on; raise `DataError` if it is not there."""
        return cls.from_splits(training, load_splits(training.dataset, root), device)

    @classmethod
    def from_splits(cls, training: Training, whole: Splits, device: torch.device) -> Data:
        """Hold out what epochs are chosen on from the images of a training's data set."""
        dataset, recipe = training.dataset, training.recipe
        if training.method.input_statistics is not None:
            whole = whole.normalised_by(*training.method.input_statistics)
        kept, validation = whole.held_out(recipe.held_out, dataset.fingerprint)
        parts = {"train": kept, "validation": validation, "test": whole.test}
        return cls(
            train=kept.to(device),
            splits={name: shuffled(part, dataset.fingerprint).to(device) for name, part in parts.items()},  # type: ignore[misc]
            normalise=Normalisation.of(whole, recipe, device),
            num_classes=whole.num_classes,
            device=device,
        )

    @property
    def calibration(self) -> Images:
        """The training images that BatchNorm's statistics are estimated anew on."""
        return self.splits["train"][:CALIBRATION_IMAGES]

    def for_network(self, model: nn.Module) -> Data:
        """Return the same with images in the memory format that a network is computed in."""
        return self if takes_channels_last(model) else replace(self, normalise=self.normalise.contiguous())

    def first(self, images: int) -> Data:
        """Return the same with the first so many images alone, in training and in testing."""
        short = {name: part[:images] for name, part in self.splits.items()}
        return replace(self, train=self.train[:images], splits=short)
