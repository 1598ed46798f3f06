"""A part of Fashion-MNIST that comes with the package."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field

from nrbench import DataError, Dataset, Splits
from nrbench_datasets.arrays import splits_from_npz

SHA256 = "0d5cf3b12710e0836717a545e11c4afe94d68fc34e39b0f23a597cb9b68df988"


class FashionMNISTMini(Dataset):
    """10,000 training and 2,000 test images of clothes, 28×28, ten classes in equal numbers; needs no download."""

    name: Literal["fashion_mnist_mini"] = "fashion_mnist_mini"
    shape: ClassVar = (10, (1, 28, 28))
    paper: ClassVar[str] = (
        "Xiao, Rasul & Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for Benchmarking ML Algorithms"
    )

    train_size: int = Field(default=10_000, ge=10, le=10_000, multiple_of=10)
    """Training images used, the same number of each class."""

    def load(self, root: Path) -> Splits:
        content = files("nrbench_datasets").joinpath("data", "fashion_mnist_mini.npz").read_bytes()
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise DataError("the installed fashion_mnist_mini.npz is damaged; install nrbench again")
        splits = splits_from_npz(content, "fashion_mnist_mini.npz")
        each = self.train_size // splits.num_classes
        rows = [torch.nonzero(splits.train.labels == label).flatten()[:each] for label in range(splits.num_classes)]
        return replace(splits, train=splits.train[torch.cat(rows).sort().values])
