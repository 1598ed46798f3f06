"""MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from nrbench import DataError, Images, Splits
from nrbench_datasets.published import Checksums, Published, check_published, read

_CLASSES = 10


class MNIST(Published):
    """70,000 handwritten digits of 28×28, 10,000 of them for testing."""

    name: Literal["mnist"] = "mnist"
    shape: ClassVar = (10, (1, 28, 28))
    sizes: ClassVar = (60_000, 10_000)
    paper: ClassVar[str] = "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition"

    checksums: Checksums = "published"
    """`none` reads `MNIST/raw/*.gz` whatever is in them."""

    def load(self, root: Path) -> Splits:
        from torchvision import datasets

        return _splits(self.name, datasets.MNIST, root, self.checksums, mean=0.1307, std=0.3081)


class FashionMNIST(Published):
    """70,000 images of clothes, 28×28 in ten classes, 10,000 of them for testing."""

    name: Literal["fashion_mnist"] = "fashion_mnist"
    shape: ClassVar = (10, (1, 28, 28))
    sizes: ClassVar = (60_000, 10_000)
    paper: ClassVar[str] = (
        "Xiao, Rasul & Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for Benchmarking ML Algorithms"
    )

    checksums: Checksums = "published"
    """`none` reads `FashionMNIST/raw/*.gz` whatever is in them."""

    def load(self, root: Path) -> Splits:
        from torchvision import datasets

        return _splits(self.name, datasets.FashionMNIST, root, self.checksums, mean=0.2860, std=0.3530)


def _splits(name: str, source: Any, root: Path, checksums: Checksums, *, mean: float, std: float) -> Splits:
    folder = root / source.__name__ / "raw"
    if checksums == "published":
        check_published(name, folder, dict(source.resources), lambda: source(root, download=True))
    parts = []
    for part in ("train", "t10k"):
        images = _idx(folder / f"{part}-images-idx3-ubyte.gz", name, dimensions=3)
        labels = _idx(folder / f"{part}-labels-idx1-ubyte.gz", name, dimensions=1)
        if len(images) != len(labels) or not len(labels):
            raise DataError(f"{folder}: {len(images)} images and {len(labels)} labels in {part}")
        if (highest := int(labels.max())) >= _CLASSES:
            raise DataError(f"{folder} has the class {highest}; {name} has 0 to {_CLASSES - 1}")
        parts.append(Images(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels.astype(np.int64))))
    return Splits(parts[0], parts[1], _CLASSES, (mean,), (std,))


def _idx(path: Path, name: str, *, dimensions: int) -> np.ndarray:
    """Read an IDX file: 0, 0, the type (8: bytes), the number of dimensions, each as a big-endian int32, the bytes."""
    try:
        content = gzip.decompress(read(path, name))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no gzip file: {error}") from error
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < 4 + 4 * dimensions:
        raise DataError(f"{path} is no IDX file of bytes in {dimensions} dimensions")
    shape = tuple(np.frombuffer(content, ">i4", dimensions, 4).tolist())
    if len(content) != 4 + 4 * dimensions + int(np.prod(shape)):
        raise DataError(f"{path} is cut short: {len(content):,} bytes for {'×'.join(map(str, shape))}")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
