"""CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from nrbench import DataError, Images, Splits
from nrbench_datasets.published import Archive, Checksums, Published, check_published, read

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_KRIZHEVSKY = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"


class CIFAR10(Published):
    """60,000 photographs of 32×32 in ten classes, 10,000 of them for testing."""

    name: Literal["cifar10"] = "cifar10"
    shape: ClassVar = (10, (3, 32, 32))
    sizes: ClassVar = (50_000, 10_000)
    paper: ClassVar[str] = _KRIZHEVSKY

    checksums: Checksums = "published"
    """`none` reads `cifar-10-batches-bin/` in the published binary format, whatever is in it."""

    def load(self, root: Path) -> Splits:
        mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
        if self.checksums == "published":
            from torchvision import datasets

            return _published(self.name, datasets.CIFAR10, root, mean, std)
        folder = root / "cifar-10-batches-bin"
        train = _binary(
            [folder / f"data_batch_{number}.bin" for number in range(1, 6)], self.name, labels=1, classes=10
        )
        test = _binary([folder / "test_batch.bin"], self.name, labels=1, classes=10)
        return Splits(train, test, 10, mean, std)


class CIFAR100(Published):
    """60,000 photographs of 32×32 in a hundred classes, 10,000 of them for testing."""

    name: Literal["cifar100"] = "cifar100"
    shape: ClassVar = (100, (3, 32, 32))
    sizes: ClassVar = (50_000, 10_000)
    paper: ClassVar[str] = _KRIZHEVSKY

    checksums: Checksums = "published"
    """`none` reads `cifar-100-binary/` in the published binary format, whatever is in it."""

    def load(self, root: Path) -> Splits:
        mean, std = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
        if self.checksums == "published":
            from torchvision import datasets

            return _published(self.name, datasets.CIFAR100, root, mean, std)
        folder = root / "cifar-100-binary"
        train, test = (
            _binary([folder / f"{part}.bin"], self.name, labels=2, classes=100) for part in ("train", "test")
        )
        return Splits(train, test, 100, mean, std)


def _published(name: str, source: Any, root: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> Splits:
    """Read the files that torchvision reads, pickles, once each of them is known to be the published one."""
    md5 = dict([*source.train_list, *source.test_list, (source.meta["filename"], source.meta["md5"])])
    archive = Archive(root / source.filename, source.tgz_md5)
    check_published(name, root / source.base_folder, md5, lambda: source(root, download=True), archive=archive)
    parts = []
    for train in (True, False):
        data = source(root, train=train)
        images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
        parts.append(Images(images, torch.tensor(data.targets)))
    return Splits(parts[0], parts[1], len(data.classes), mean, std)


def _binary(files: Sequence[Path], name: str, *, labels: int, classes: int) -> Images:
    """Read records of `labels` bytes, the last of which is the class, and 3,072 of an image: red, green, blue."""
    size = labels + _PIXELS
    records = []
    for path in files:
        content = read(path, name)
        if not content or len(content) % size:
            raise DataError(f"{path} is no whole number of records of {size:,} bytes: it has {len(content):,}")
        records.append(np.frombuffer(content, np.uint8).reshape(-1, size))
    table = np.concatenate(records)
    if (highest := int(table[:, labels - 1].max())) >= classes:
        raise DataError(f"{files[0].parent} has the class {highest}; {name} has 0 to {classes - 1}")
    images = torch.from_numpy(table[:, labels:].reshape(-1, *_SHAPE).copy())
    return Images(images, torch.from_numpy(table[:, labels - 1].astype(np.int64)))
