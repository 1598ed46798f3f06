"""Data sets: labelled images in memory, and the part of the training images that is held out to choose epochs on."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from nrbench.base.chance import generator
from nrbench.base.component import Component
from nrbench.base.errors import DataError, NrbenchError, told
from nrbench.base.torch_state import unchanged


@dataclass(frozen=True, slots=True)
class Images:
    """Labelled images: uint8 (count, channels, height, width) and int64 (count,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor | slice) -> Images:
        return Images(self.images[index], self.labels[index])

    def to(self, device: torch.device) -> Images:
        """Return the same images on `device`, in channels_last layout, whose pixels are gathered 20 times as fast."""
        return Images(self.images.to(device, memory_format=torch.channels_last), self.labels.to(device))


@dataclass(frozen=True, slots=True)
class Splits:
    """What a data set is made of; `mean` and `std` are per channel, in units of the full range 0 … 1."""

    train: Images
    test: Images
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: Images | None = None
    """What epochs are chosen on; None has the recipe hold some training images out."""
    class_names: tuple[str, ...] = ()

    def held_out(self, share: float, fingerprint: str) -> tuple[Images, Images]:
        """Return what is trained on and what epochs are chosen on: a split of its own, or a share of the training images."""
        return hold_out(self.train, share, fingerprint) if self.validation is None else (self.train, self.validation)

    def sha256(self) -> str:
        """Return a hash of all images and labels."""
        content = hashlib.sha256()
        for part in (self.train, self.test, self.validation):
            for tensor in (part.images, part.labels) if part is not None else ():
                content.update(str(tuple(tensor.shape)).encode())
                content.update(tensor.contiguous().numpy().data)
        return content.hexdigest()

    def check(self) -> None:
        """Raise `DataError` for images or labels that no training could take."""
        channels = len(self.mean)
        if len(self.std) != channels or not all(isfinite(each) and each > 0 for each in self.std):
            raise DataError("the standard deviations of a data set are one positive number for each colour")
        for part, images in (("training", self.train), ("test", self.test), ("validation", self.validation)):
            if images is None:
                continue
            pixels, labels = images.images, images.labels
            if pixels.dtype != torch.uint8 or pixels.ndim != 4 or tuple(pixels.shape[1:]) != self.input_shape:
                raise DataError(
                    f"the {part} images are {pixels.dtype} of {tuple(pixels.shape)}, not uint8 as the others"
                )
            if not len(pixels) or 0 in pixels.shape or pixels.shape[1] != channels:
                raise DataError(f"the {part} images are {tuple(pixels.shape)}, with {channels} means")
            if labels.dtype != torch.int64 or labels.shape != (len(pixels),):
                raise DataError(
                    f"the {part} labels are {labels.dtype} of {tuple(labels.shape)}, not one int64 for each image"
                )
            if int(labels.min()) < 0 or int(labels.max()) >= self.num_classes:
                raise DataError(
                    f"the {part} labels go from {int(labels.min())} to {int(labels.max())}, beyond the classes"
                )

    def normalised_by(self, mean: tuple[float, ...], std: tuple[float, ...]) -> Splits:
        """Return the same images to be normalised otherwise; raise `DataError` if there are other colours than numbers."""
        channels = self.input_shape[0]
        if {len(mean), len(std)} - {1, channels}:
            raise DataError(f"{len(mean)} means and {len(std)} standard deviations for images of {channels} colours")
        return replace(self, mean=mean * (channels // len(mean)), std=std * (channels // len(std)))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


class Dataset(Component, family="datasets", singular="data set"):
    """Family: where labelled images come from."""

    shape: ClassVar[tuple[int, tuple[int, int, int]] | None] = None
    """(classes, (channels, height, width)), where they are known without loading anything."""
    sizes: ClassVar[tuple[int, int] | None] = None
    """(training images, test images), where they are known without loading anything."""
    may_validate: ClassVar[bool] = False
    """Whether it may have a validation set of its own."""

    @property
    def caveat(self) -> str:
        """What a reader of the leaderboard should know of this data; nothing by default."""
        return ""

    @property
    def by_content(self) -> bool:
        """Whether what it loads is in its key by its content; if it is not, other images are told from those of results."""
        return True

    @abstractmethod
    def load(self, root: Path) -> Splits:
        """Return the images, read from below the data directory `root` where they are not part of a package.

        Raise `DataError` when they are missing or are not what they should be.
        """


def made_up(dataset: Dataset) -> Splits:
    """Return black images of a data set's shapes and numbers, for what depends on these alone, such as time.

    Raise `DataError` for one that does not say them.
    """
    if dataset.shape is None or dataset.sizes is None:
        raise DataError(f"the data set {dataset.name} does not say how many images of which shape it has")
    classes, shape = dataset.shape
    train, test = (
        Images(torch.zeros(size, *shape, dtype=torch.uint8), torch.arange(size) % classes) for size in dataset.sizes
    )
    return Splits(train, test, classes, mean=(0.5,) * shape[0], std=(0.5,) * shape[0])


@lru_cache(maxsize=2)
def load_splits(dataset: Dataset, root: Path) -> Splits:
    """Return a data set's images; the last two are remembered. Raise `DataError` whatever is wrong with them."""
    try:
        with unchanged(dataset.name):
            splits = dataset.load(root)
        splits.check()
    except (NrbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:  # an exit, or an exception of a plugin's own that is no Exception
        raise DataError(f"the data set {dataset.name} cannot be loaded: {told(error)}") from error
    return splits


def hold_out(images: Images, fraction: float, fingerprint: str) -> tuple[Images, Images]:
    """Return (kept, held out): the same share of every class, picked by the data set's fingerprint alone."""
    order = _shuffled(len(images), fingerprint)
    held = torch.zeros(len(images), dtype=torch.bool)
    for label in torch.unique(images.labels).tolist():
        members = order[(images.labels[order] == label)]
        held[members[: round(fraction * len(members))]] = True
    if fraction and (held.all() or not held.any()):
        raise DataError(f"held_out {fraction:g} of {len(images)} images leaves one of the two parts empty")
    return images[~held], images[held]


def shuffled(images: Images, fingerprint: str) -> Images:
    """Return the images in a fixed order that does not follow their classes."""
    return images[_shuffled(len(images), fingerprint)]


def _shuffled(count: int, fingerprint: str) -> Tensor:
    return torch.randperm(count, generator=generator("order of images", fingerprint))
