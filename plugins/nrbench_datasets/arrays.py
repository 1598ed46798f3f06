"""NumPy archives of labelled images."""

from __future__ import annotations

import io
import zipfile
import zlib

import numpy as np
import torch

from nrbench import DataError, Images, Splits

_NAMES = ("train_images", "train_labels", "test_images", "test_labels")


def splits_from_npz(content: bytes, origin: str) -> Splits:
    """Return the images in an archive with the arrays train_images, train_labels, test_images and test_labels.

    Images are uint8, (count, height, width) or (count, channels, height, width); labels are integers from 0. Mean and
    standard deviation are those of the training images. Raise `DataError` when anything is otherwise.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            missing = [name for name in _NAMES if name not in archive]
            if missing:
                raise DataError(f"{origin} lacks the arrays {', '.join(missing)}")
            arrays = {name: archive[name] for name in _NAMES}
    except (ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{origin} is no archive of plain arrays: {error}") from error
    parts = {part: _images(arrays[f"{part}_images"], arrays[f"{part}_labels"], f"{origin}: {part}") for part in _PARTS}
    train, test = parts["train"], parts["test"]
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(f"{origin}: training and test images differ in shape")
    classes = int(train.labels.max()) + 1
    if int(test.labels.max()) >= classes:
        raise DataError(f"{origin}: the test set has a class that the training set lacks")
    pixels = train.images.double().div(255).transpose(0, 1).flatten(1)
    std = pixels.std(1).clamp_min(1e-6)
    return Splits(train, test, classes, tuple(pixels.mean(1).tolist()), tuple(std.tolist()))


_PARTS = ("train", "test")


def _images(images: np.ndarray, labels: np.ndarray, origin: str) -> Images:
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not len(images):
        shape = "×".join(map(str, images.shape))
        raise DataError(
            f"{origin} images are {images.dtype} of {shape}, not uint8 of count × [channels ×] height × width"
        )
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or len(labels) != len(images):
        raise DataError(f"{origin} labels are not one integer for each image")
    if labels.min() < 0:
        raise DataError(f"{origin} labels are negative")
    tensor = torch.from_numpy(np.ascontiguousarray(images))
    return Images(tensor if images.ndim == 4 else tensor.unsqueeze(1), torch.from_numpy(labels.astype(np.int64)))
