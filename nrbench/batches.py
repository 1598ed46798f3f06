"""Batches: images in memory turned into the float tensors a network sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from nrbench.chance import generator
from nrbench.dataset import Images, Splits
from nrbench.recipe import Recipe

PADDING = 4
"""Zeros around an image before a random crop, the custom of CIFAR and its kin."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """uint8 images to float32 ones of zero mean and unit variance per channel, in the recipe's memory format."""

    mean: Tensor
    std: Tensor
    memory_format: torch.memory_format

    @classmethod
    def of(cls, splits: Splits, recipe: Recipe, device: torch.device) -> Normalisation:
        """Return the normalisation a data set asks for."""
        mean, std = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (splits.mean, splits.std))
        return cls(mean, std, torch.channels_last if recipe.channels_last else torch.contiguous_format)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the normalised images, a new tensor."""
        return images.to(torch.float32, memory_format=self.memory_format).div_(255).sub_(self.mean).div_(self.std)


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of every epoch of a training; which images and which augmentation depend on seed and epoch alone."""

    images: Images
    normalise: Normalisation
    recipe: Recipe
    seed: int

    def __len__(self) -> int:
        return -(-len(self.images) // self.recipe.batch_size)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, labels) of epoch 1, 2, …: every image once, in a new order."""
        device = self.images.labels.device
        chance = generator("batches", self.seed, number)
        order = torch.randperm(len(self.images), generator=chance)
        flips = torch.rand(len(order), generator=chance) < 0.5
        shifts = torch.randint(0, 2 * PADDING + 1, (len(order), 2), generator=chance)
        parts = (torch.split(tensor.to(device), self.recipe.batch_size) for tensor in (order, flips, shifts))
        for rows, flip, shift in zip(*parts, strict=True):
            batch = self.images.images[rows]
            if self.recipe.augment:
                batch = augmented(
                    batch,
                    flip=flip if "flip" in self.recipe.augment else None,
                    shift=shift if "crop" in self.recipe.augment else None,
                )
            yield self.normalise(batch), self.images.labels[rows]


def augmented(images: Tensor, *, flip: Tensor | None, shift: Tensor | None) -> Tensor:
    """Return images cropped at an offset and mirrored, all in one gather.

    `images` is (count, channels, height, width); `flip` is bool (count,); `shift` is int (count, 2): the row and the
    column, from 0 to 8, at which the crop starts in the image padded with 4 zeros.
    """
    count, _, height, width = images.shape
    device = images.device
    rows = torch.arange(height, device=device).expand(count, -1)
    columns = torch.arange(width, device=device).expand(count, -1)
    if flip is not None:
        columns = torch.where(flip[:, None], columns.flip(1), columns)
    if shift is not None:
        images = pad(images, (PADDING,) * 4)
        rows, columns = rows + shift[:, :1], columns + shift[:, 1:]
    sample = torch.arange(count, device=device)[:, None, None]
    return images[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
