"""NumPy archives of labelled images."""

from __future__ import annotations

import io
import logging
import zipfile
import zlib
from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nrbench import DataError, Images, Splits

log = logging.getLogger("nrbench.datasets")

Axis = Literal["first", "last"]
_NEEDED = ("train_images", "train_labels", "test_images", "test_labels")
_VALIDATION = ("val_images", "val_labels")
_COLOURS = (1, 3, 4)
LEAK = 0.05
"""Share of a set that may stand in another one: published data sets have a few images twice."""


def splits_from_npz(content: bytes, origin: str, channels: Axis | None = None) -> Splits:
    """Return the images in an archive with the arrays train_images, train_labels, test_images and test_labels.

    Images are uint8, (count, height, width) or with `channels` first or last, which the shape says where it can; labels
    are integers from 0, (count,) or (count, 1). val_images and val_labels, if there, are what epochs are chosen on, and
    class_names the names of classes. Mean and standard deviation are those of the training images. Raise `DataError` when
    anything is otherwise.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            missing = [name for name in _NEEDED if name not in archive]
            if missing:
                raise DataError(f"{origin} lacks the arrays {', '.join(missing)}")
            arrays = {name: archive[name] for name in (*_NEEDED, *_VALIDATION, "class_names") if name in archive}
    except (ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{origin} is no archive of plain arrays: {error}") from error
    if ("val_images" in arrays) != ("val_labels" in arrays):
        raise DataError(f"{origin} has one of val_images and val_labels, which belong together")
    names = [name.removesuffix("_images") for name in arrays if name.endswith("_images")]
    parts = {
        part: _images(arrays[f"{part}_images"], arrays[f"{part}_labels"], f"{origin}: {part}", channels)
        for part in names
    }
    train = parts["train"]
    for name, part in parts.items():
        if part.images.shape[1:] != train.images.shape[1:]:
            raise DataError(f"{origin}: {name} images differ in shape from the training images")
    classes = class_count(train.labels, origin)
    for name, part in parts.items():
        if int(part.labels.max()) >= classes:
            raise DataError(f"{origin}: the {name} set has a class that the training set lacks")
    _check_leaks(parts, origin)
    called = _class_names(arrays["class_names"], classes, origin) if "class_names" in arrays else ()
    return Splits(train, parts["test"], classes, *statistics(train.images), parts.get("val"), called)


def _check_leaks(parts: Mapping[str, Images], origin: str) -> None:
    """Raise `DataError` where a part of the images of one set stands in another: what is tested on would be known."""
    pixels = {name: [row.numpy().tobytes() for row in part.images] for name, part in parts.items()}
    for first, second in combinations(pixels, 2):
        known = set(pixels[first])
        shared = sum(row in known for row in pixels[second])
        if shared > LEAK * len(pixels[second]):
            raise DataError(
                f"{origin}: {shared} of {len(pixels[second])} {second} images are {first} images too, pixel by pixel"
            )


def class_count(labels: Tensor, origin: str) -> int:
    """Return the number of classes of training labels; raise `DataError` unless they are 0, 1, … and each of them occurs."""
    found = torch.unique(labels)
    if len(found) < 2:
        raise DataError(f"{origin}: all training labels are {int(found[0])}; there is nothing to tell apart")
    if int(found[-1]) != len(found) - 1:
        missing = next(label for label, there in enumerate([*found.tolist(), -1]) if label != there)
        raise DataError(
            f"{origin}: labels go up to {int(found[-1])} and no training image has {missing}; classes are counted from 0"
        )
    return len(found)


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each colour, in units of the full range 0 … 1.

    Raise `DataError` where all pixels have one value.
    """
    if int(images.min()) == int(images.max()):
        raise DataError(f"all pixels of the training images are {int(images.min())}")
    pixels = images.double().div(255).transpose(0, 1).flatten(1)
    return tuple(pixels.mean(1).tolist()), tuple(pixels.std(1).clamp_min(1e-6).tolist())


def _class_names(names: np.ndarray, classes: int, origin: str) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind != "U" or len(names) != classes:
        raise DataError(f"{origin}: class_names are not one text for each of {classes} classes")
    return tuple(names.tolist())


def _images(images: np.ndarray, labels: np.ndarray, origin: str, channels: Axis | None) -> Images:
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
        raise DataError(
            f"{origin} images are {images.dtype} of {_said(images)}, not uint8 of count × [channels ×] height × width"
        )
    if images.ndim == 3:
        images = images[:, None]
    elif _axis(images, origin, channels) == "last":
        images = np.moveaxis(images, -1, 1)
        log.warning("%s images are %s, with their channels last in the file", origin, _said(images))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(images):
        raise DataError(f"{origin} labels are not one integer for each image")
    if labels.min() < 0:
        raise DataError(f"{origin} labels are negative")
    return Images(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels.astype(np.int64)))


def _axis(images: np.ndarray, origin: str, said: Axis | None) -> Axis:
    """Return where the channels are: where the suite says, or where alone there are one, three or four."""
    _, first, middle, last = images.shape
    if said is not None:
        return said
    if first in _COLOURS and not {middle, last} & {*_COLOURS}:
        return "first"
    if last in _COLOURS and not {first, middle} & {*_COLOURS}:
        return "last"
    if middle == last and first != middle and first not in _COLOURS and last not in _COLOURS:
        return "first"
    raise DataError(
        f"{origin} images are {_said(images)}: do the channels come first or last? Say `channels: first` or `channels: last`"
    )


def _said(array: np.ndarray) -> str:
    return "×".join(map(str, array.shape))
