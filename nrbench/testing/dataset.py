"""Checks of data sets."""

from __future__ import annotations

import torch

from nrbench.families.dataset import Dataset, hold_out
from nrbench.jobs.plan import Options


def check_dataset_is_whole(dataset: Dataset) -> None:
    """Images are uint8 and labels int64 from 0, there is a mean and a std for each channel, and loading it twice is equal."""
    root = Options().data_root
    splits, again = dataset.load(root), dataset.load(root)
    for part, same in ((splits.train, again.train), (splits.test, again.test)):
        assert (part.images.dtype, part.images.ndim) == (torch.uint8, 4), (
            "images are uint8 (count, channels, height, width)"
        )
        assert (part.labels.dtype, part.labels.ndim) == (torch.int64, 1), "labels are int64 (count,)"
        assert len(part.labels) == len(part.images), "there is not one label for each image"
        assert 0 <= part.labels.min() <= part.labels.max() < splits.num_classes
        assert part.images.shape[1:] == splits.input_shape
        assert torch.equal(part.images, same.images), "loaded again its images are others"
        assert torch.equal(part.labels, same.labels), "loaded again its labels are others"
    assert len(splits.mean) == len(splits.std) == splits.input_shape[0]
    assert all(std > 0 for std in splits.std)


def check_dataset_can_be_held_out(dataset: Dataset) -> None:
    """A quarter of the training images can be kept apart, and there are images of each of its classes left to train on."""
    splits = dataset.load(Options().data_root)
    kept, held = hold_out(splits.train, 0.25, dataset.fingerprint)
    found = torch.unique(kept.labels).tolist()
    assert found == list(range(splits.num_classes)), f"of {splits.num_classes} classes only {found} are trained on"
    assert len(held) > 0, "nothing is held out"


CHECKS = (check_dataset_is_whole, check_dataset_can_be_held_out)
