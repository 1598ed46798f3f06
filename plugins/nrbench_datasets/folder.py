"""A user's own images as files: a directory for each class."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from errno import ENOTDIR
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from nrbench import DataError, DataFile, Dataset, Images, Splits
from nrbench_datasets.arrays import statistics

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")


class ImageFolder(DataFile):
    """A directory of images, known by the names and the content of all of them."""

    @classmethod
    def hashed(cls, path: Path) -> str:
        if not path.is_dir():
            raise OSError(ENOTDIR, "it is no directory")
        return _digest(_contents(path))

    def contents(self) -> dict[str, bytes]:
        """Return the images by their names below the directory; raise `DataError` if they have changed."""
        found = dict(_contents(Path(self.path)))
        if _digest(found.items()) != self.sha256:
            raise DataError(f"{self.path} has changed since the suite was read")
        return found


class Folder(Dataset):
    """Images in files, a directory for each class: `cats/1.png`, or `train/cats/1.png` and `test/cats/1.png`.

    Without directories named train and test, which images are tested on is decided by a hash of each file's content.
    """

    name: Literal["folder"] = "folder"
    version: ClassVar[int] = 1

    path: ImageFolder
    """The directory, relative to the suite's file."""
    size: int | None = Field(default=None, ge=1, le=4096)
    """Height and width that every image is brought to, bilinearly; without it they are all of one size."""
    channels: Literal[1, 3] = 3
    """Grey or RGB."""
    test: float = Field(default=0.2, gt=0, lt=1)
    """The share of images that are tested on, where no directories say which."""

    def load(self, root: Path) -> Splits:
        contents = self.path.contents()
        steps = {name: name.split("/")[:-1] for name in contents}
        split_by_name = {path[0] for path in steps.values() if path} == {"train", "test"}
        label_of = {name: path[split_by_name] for name, path in steps.items() if len(path) > split_by_name}
        classes = sorted(set(label_of.values()))
        if len(classes) < 2:
            raise DataError(
                f"{self.path.path} has {len(classes)} directories with images, one for each class are needed"
            )
        arrays = {name: self._pixels(name, contents[name]) for name in label_of}
        split = {name: steps[name][0] if split_by_name else self._part(contents[name]) for name in label_of}
        if len({array.shape for array in arrays.values()}) > 1:
            raise DataError(f"the images in {self.path.path} have different sizes: say `size`")
        train, test = (
            _images(
                [(arrays[name], classes.index(label)) for name, label in label_of.items() if split[name] == part], part
            )
            for part in ("train", "test")
        )
        return Splits(train, test, len(classes), *statistics(train.images), None, tuple(classes))

    def _part(self, content: bytes) -> str:
        return "test" if _share(content) < self.test else "train"

    def _pixels(self, name: str, content: bytes) -> np.ndarray:
        from PIL import Image

        try:
            image = Image.open(io.BytesIO(content)).convert("RGB" if self.channels == 3 else "L")
        except Exception as error:  # Pillow raises whatever a format's reader meets
            raise DataError(f"{name} is no image: {error}") from error
        if self.size is not None:
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(image.height, image.width, self.channels).transpose(2, 0, 1)


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in IMAGES:
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _digest(contents: Any) -> str:
    whole = hashlib.sha256()
    for name, content in contents:
        whole.update(f"{name}\n{hashlib.sha256(content).hexdigest()}\n".encode())
    return whole.hexdigest()


def _share(content: bytes) -> float:
    """Return a number from 0 to 1 that depends on the content alone."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") / 2**64


def _images(labelled: list[tuple[np.ndarray, int]], part: str) -> Images:
    if not labelled:
        raise DataError(f"there are no {part} images")
    pixels = torch.from_numpy(np.stack([array for array, _ in labelled]))
    return Images(pixels, torch.tensor([label for _, label in labelled]))
