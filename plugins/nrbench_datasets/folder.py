"""A user's own images as files: a directory for each class."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Iterable, Iterator
from errno import ENOTDIR
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from nrbench import DataError, DataFile, Dataset, Images, Splits
from nrbench_datasets.arrays import statistics

log = logging.getLogger("nrbench.datasets")

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
"""What directories at the top may be called, in any case, and the part of the data that they are."""
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

    Without directories named train and test, which images are tested on is decided by a hash of each file's content. Epochs
    are chosen on those in val, where it is there. What is hidden is not read; what is rotated by its camera's mark is turned.
    """

    name: Literal["folder"] = "folder"
    version: ClassVar[int] = 1
    may_validate: ClassVar[bool] = True

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
        placed = {name: name.split("/")[:-1] for name in contents}
        named = self._split_names(contents)
        depth = 1 if named else 0
        if stray := [name for name, steps in placed.items() if len(steps) <= depth]:
            raise DataError(f"{stray[0]} in {self.path.path} lies in the directory of no class")
        label_of = {name: steps[depth] for name, steps in placed.items()}
        self._check_classes(named, set(label_of.values()))
        classes = sorted(set(label_of.values()))
        part_of = {name: named[placed[name][0]] for name in contents} if named else self._parts(contents, label_of)
        arrays = {name: self._pixels(name, content) for name, content in contents.items()}
        if len({array.shape for array in arrays.values()}) > 1:
            raise DataError(f"the images in {self.path.path} have different sizes: say `size`")
        parts = {
            part: _images([(arrays[n], classes.index(label_of[n])) for n in contents if part_of[n] == part], part)
            for part in dict.fromkeys(("train", "test", *part_of.values()))
        }
        for part, images in parts.items():
            present = {classes[label] for label in images.labels.tolist()}
            lacking = sorted(set(classes) - present)
            if lacking and (part == "train" or not named):
                raise DataError(f"there are no {part} images of {lacking[0]} in {self.path.path}")
        _check_leaks(contents, part_of, label_of, self.path.path)
        train = parts["train"]
        mean, std = statistics(train.images)
        return Splits(train, parts["test"], len(classes), mean, std, parts.get("validation"), tuple(classes))

    def _split_names(self, contents: dict[str, bytes]) -> dict[str, str]:
        """Return the part of the data that each directory at the top is; nothing where the directories there are classes."""
        tops = {name.split("/")[0] for name in contents if "/" in name}
        named = {top: SPLITS[top.lower()] for top in tops if top.lower() in SPLITS}
        parts = set(named.values())
        if "train" not in parts or len(parts) < 2:
            return {}  # a class may be called train
        if named.keys() != tops or len(parts) < len(named):
            raise DataError(
                f"{self.path.path} has the directories {', '.join(sorted(tops))}: either they are classes, or a training set "
                "and one for testing, perhaps one for validation, each with a directory for each class"
            )
        if "test" not in parts:
            log.warning("%s has no test images: those in its validation directory are tested on", self.path.path)
            return {top: "test" if part == "validation" else part for top, part in named.items()}
        return named

    def _check_classes(self, named: dict[str, str], found: set[str]) -> None:
        """Raise `DataError` for a class without images that can be read, and for fewer than two classes."""
        root = Path(self.path.path)
        for parent in [root / top for top in named] or [root]:
            for child in parent.iterdir():
                if child.is_dir() and not child.name.startswith((".", "__MACOSX")) and child.name not in found:
                    raise DataError(f"{child} has no images that are read, which are {' '.join(IMAGES)}")
        if len(found) < 2:
            raise DataError(f"{root} has {len(found)} directories with images, one for each class are needed")

    def _parts(self, contents: dict[str, bytes], label_of: dict[str, str]) -> dict[str, str]:
        """Return train or test for each image, by its content alone; of each class the lowest hash is tested on at least."""
        shares = {name: _share(content) for name, content in contents.items()}
        lowest: dict[str, float] = {}
        for name, label in label_of.items():
            lowest[label] = min(shares[name], lowest.get(label, 1.0))
        return {
            name: "test" if shares[name] < self.test or shares[name] == lowest[label_of[name]] else "train"
            for name in contents
        }

    def _pixels(self, name: str, content: bytes) -> np.ndarray:
        from PIL import Image, ImageOps

        try:
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
            transparent = "A" in image.getbands() and np.asarray(image.getchannel("A")).min() < 255
            read = image.convert("RGB" if self.channels == 3 else "L")
        except Exception as error:  # Pillow raises whatever a format's reader meets
            raise DataError(f"{name} is no image: {error}") from error
        if image.mode[0] in "IF":
            raise DataError(
                f"{name} has pixels of more than 8 bits ({image.mode}), whose white nobody knows: convert it"
            )
        if transparent or "transparency" in image.info:
            raise DataError(f"{name} has transparent pixels: put it on a background")
        if self.size is not None:
            read = read.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return np.asarray(read).reshape(read.height, read.width, self.channels).transpose(2, 0, 1)


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the images below a directory by name, those behind links too, but nothing hidden."""
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        whole = os.path.realpath(parent)
        if whole in seen:
            raise DataError(f"{parent} is a directory that is met twice: a link leads back to it")
        seen.add(whole)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in IMAGES and path.is_file():
                yield path.relative_to(folder).as_posix(), path.read_bytes()


def _digest(contents: Iterable[tuple[str, bytes]]) -> str:
    whole = hashlib.sha256()
    for name, content in contents:
        whole.update(f"{json.dumps(name)} {hashlib.sha256(content).hexdigest()}\n".encode())
    return whole.hexdigest()


def _share(content: bytes) -> float:
    """Return a number from 0 to 1 that depends on the content alone."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") / 2**64


def _check_leaks(contents: dict[str, bytes], parts: dict[str, str], labels: dict[str, str], origin: str) -> None:
    """Raise `DataError` where all that is tested on was trained on too; say how many images are, or have two labels."""
    hashes = {name: hashlib.sha256(content).digest() for name, content in contents.items()}
    trained = {digest for name, digest in hashes.items() if parts[name] == "train"}
    tested = [digest for name, digest in hashes.items() if parts[name] == "test"]
    leaked = sum(digest in trained for digest in tested)
    if leaked == len(tested):
        raise DataError(f"every test image in {origin} is a training image too")
    if leaked:
        log.warning("%d of %d test images in %s are training images too", leaked, len(tested), origin)
    called: dict[bytes, set[str]] = {}
    for name, digest in hashes.items():
        called.setdefault(digest, set()).add(labels[name])
    if several := sum(len(names) > 1 for names in called.values()):
        log.warning("%d images in %s are there under more than one class", several, origin)


def _images(labelled: list[tuple[np.ndarray, int]], part: str) -> Images:
    if not labelled:
        raise DataError(f"there are no {part} images")
    pixels = torch.from_numpy(np.stack([array for array, _ in labelled]))
    return Images(pixels, torch.tensor([label for _, label in labelled]))
