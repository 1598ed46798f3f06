"""Batches: images in memory turned into the float tensors a network sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from nrbench.base.chance import generator
from nrbench.families.dataset import Images, Splits
from nrbench.families.step import Batch, part_sizes
from nrbench.suite.recipe import Recipe

PADDING = 4
"""Zeros around an image before a random crop, the custom of CIFAR and its kin."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """uint8 images to float32 ones of zero mean and unit variance per channel, in the recipe's memory format.

    `mean` and `factor` have the shape and layout of an image: three values of a channels_last image in a row are too few
    to be computed with at once (5.1 µs an image of 3×32×32, against 1.1).
    """

    mean: Tensor
    """In grey levels, 0 … 255."""
    factor: Tensor
    memory_format: torch.memory_format

    @classmethod
    def of(cls, splits: Splits, recipe: Recipe, device: torch.device) -> Normalisation:
        """Return the normalisation a data set asks for."""
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        mean, std = (
            torch.tensor(values, device=device).mul(255).view(1, -1, 1, 1).expand(1, *splits.input_shape)
            for values in (splits.mean, splits.std)
        )
        return cls(mean.contiguous(memory_format=layout), std.reciprocal().contiguous(memory_format=layout), layout)

    def contiguous(self) -> Normalisation:
        """Return the same with images in contiguous memory."""
        return Normalisation(self.mean.contiguous(), self.factor.contiguous(), torch.contiguous_format)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the normalised images, a new tensor."""
        return images.to(torch.float32, memory_format=self.memory_format).sub_(self.mean).mul_(self.factor)


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of every epoch of a training; which images and which augmentation depend on seed and epoch alone."""

    images: Images
    normalise: Normalisation
    recipe: Recipe
    seed: int

    def __len__(self) -> int:
        return len(part_sizes(len(self.images), self.recipe.batch_size))

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of epoch 1, 2, …: every image once, in a new order."""
        yield from self._batches(generator("batches", self.seed, number), len(self.images))

    def further(self, step: int, index: int) -> Batch:
        """Return the further batch 1, 2, … of a step: images drawn anew from all, as many as a full batch has."""
        count = min(self.recipe.batch_size, len(self.images))
        return next(self._batches(generator("further batches", self.seed, step, index), count))

    def _batches(self, chance: torch.Generator, count: int) -> Iterator[Batch]:
        device = self.images.labels.device
        pixels = self.images.images.permute(0, 2, 3, 1)
        order = torch.randperm(len(self.images), generator=chance)[:count]
        flips = torch.rand(count, generator=chance) < 0.5
        shifts = torch.randint(0, 2 * PADDING + 1, (count, 2), generator=chance)
        sizes = part_sizes(count, self.recipe.batch_size)
        parts = (torch.split(tensor.to(device), sizes) for tensor in (order, flips, shifts))
        for rows, flip, shift in zip(*parts, strict=True):
            batch = pixels.index_select(0, rows).permute(0, 3, 1, 2)
            if self.recipe.augment:
                batch = augmented(
                    batch,
                    flip=flip if "flip" in self.recipe.augment else None,
                    shift=shift if "crop" in self.recipe.augment else None,
                )
            yield Batch(self.normalise(batch), self.images.labels[rows])


def augmented(images: Tensor, *, flip: Tensor | None, shift: Tensor | None) -> Tensor:
    """Return images cropped at an offset and mirrored, all in one gather.

    `images` is (count, channels, height, width); `flip` is bool (count,); `shift` is int (count, 2): the row and the
    column, from 0 to 8, at which the crop starts in the image padded with 4 zeros.
    """
    count, channels, height, width = images.shape
    device = images.device
    numbers = partial(torch.arange, dtype=torch.int32, device=device)  # half as much to write and read as int64
    rows, columns = numbers(height).expand(count, -1), numbers(width).expand(count, -1)
    if flip is not None:
        columns = torch.where(flip[:, None], columns.flip(1), columns)
    pixels = images.permute(0, 2, 3, 1)
    if shift is not None:
        pixels = pad(pixels, (0, 0, *(PADDING,) * 4))
        rows, columns = rows + shift[:, :1].int(), columns + shift[:, 1:].int()
    _, tall, wide, _ = pixels.shape
    lines = numbers(count)[:, None] * tall + rows
    index = lines[:, :, None] * wide + columns[:, None, :]
    found = pixels.reshape(-1, channels).index_select(0, index.flatten())
    return found.view(count, height, width, channels).permute(0, 3, 1, 2)
