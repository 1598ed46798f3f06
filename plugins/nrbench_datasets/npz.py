"""A user's own images."""

from pathlib import Path
from typing import Literal

from nrbench import DataFile, Dataset, Splits
from nrbench_datasets.arrays import splits_from_npz


class Npz(Dataset):
    """Images in a NumPy archive: uint8 train_images and test_images, integer train_labels and test_labels."""

    name: Literal["npz"] = "npz"

    file: DataFile
    """The archive, relative to the suite's file."""

    def load(self, root: Path) -> Splits:
        return splits_from_npz(self.file.read(), self.file.path)
