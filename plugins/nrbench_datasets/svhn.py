"""Street View House Numbers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from scipy.io import loadmat

from nrbench import DataError, Images, Splits
from nrbench_datasets.published import Checksums, Published, check_published, read

_CLASSES = 10
_PARTS = ("train", "test")


class SVHN(Published):
    """Photographs of house numbers, 32×32 around a digit: 73,257 for training, 26,032 for testing."""

    name: Literal["svhn"] = "svhn"
    shape: ClassVar = (10, (3, 32, 32))
    sizes: ClassVar = (73_257, 26_032)
    paper: ClassVar[str] = "Netzer et al. 2011, Reading Digits in Natural Images with Unsupervised Feature Learning"

    checksums: Checksums = "published"
    """`none` reads `train_32x32.mat` and `test_32x32.mat` whatever is in them."""

    def load(self, root: Path) -> Splits:
        if self.checksums == "published":
            from torchvision import datasets

            md5 = {file: expected for _, file, expected in map(datasets.SVHN.split_list.get, _PARTS)}
            check_published(self.name, root, md5, lambda: [datasets.SVHN(root, part, download=True) for part in _PARTS])
        parts = [_images(root / f"{part}_32x32.mat", self.name) for part in _PARTS]
        return Splits(parts[0], parts[1], _CLASSES, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))


def _images(path: Path, name: str) -> Images:
    """Read a MATLAB file with X, height × width × 3 × count, and y, in which 10 stands for the digit 0."""
    content = read(path, name)
    try:
        table = loadmat(io.BytesIO(content), variable_names=("X", "y"))  # type: ignore[arg-type]
        pixels, labels = np.asarray(table["X"]), np.asarray(table["y"]).reshape(-1)
    except Exception as error:  # scipy raises whatever its parser meets
        raise DataError(f"{path} is no MATLAB file with X and y: {type(error).__name__}: {error}") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[2] != 3 or pixels.shape[3] != len(labels):
        raise DataError(f"{path} does not hold height × width × 3 × {len(labels)} bytes")
    if not len(labels) or labels.min() < 1 or labels.max() > _CLASSES:
        raise DataError(f"{path} has labels other than 1 to {_CLASSES}")
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)))
    return Images(images, torch.from_numpy(labels.astype(np.int64) % _CLASSES))
