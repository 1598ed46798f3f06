"""A user's own images."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from nrbench import ADDED_LATER, DataFile, Dataset, Splits
from nrbench_datasets.arrays import Axis, splits_from_npz


class Npz(Dataset):
    """Images in a NumPy archive: uint8 train_images and test_images, integer train_labels and test_labels.

    Epochs are chosen on val_images and val_labels if they are there, and on the recipe's `held_out` share otherwise.
    """

    name: Literal["npz"] = "npz"
    version: ClassVar[int] = 2  # channels may be last, and val_images are what epochs are chosen on
    may_validate: ClassVar[bool] = True

    file: DataFile
    """The archive, relative to the suite's file."""
    channels: Annotated[Axis | None, ADDED_LATER] = None
    """Where the colours of images with four dimensions are, if their shape does not say it: first or last."""

    def load(self, root: Path) -> Splits:
        return splits_from_npz(self.file.read(), self.file.path, self.channels)
