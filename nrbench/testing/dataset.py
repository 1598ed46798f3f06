"""Checks of data sets."""

from __future__ import annotations

import torch

from nrbench.families.dataset import Dataset, Images, hold_out
from nrbench.jobs.plan import Options


def check_dataset_is_whole(dataset: Dataset) -> None:
    """Images are uint8 and labels int64 from 0, there is a mean and a std for each channel, and loading it twice is equal."""
    root = Options().data_root
    splits = dataset.load(root)
    for part in (splits.train, splits.test):
        assert (part.images.dtype, part.images.ndim) == (torch.uint8, 4), (
            "images are uint8 (count, channels, height, width)"
        )
        assert (part.labels.dtype, part.labels.ndim) == (torch.int64, 1), "labels are int64 (count,)"
        assert len(part.labels) == len(part.images), "there is not one label for each image"
        assert 0 <= part.labels.min() <= part.labels.max() < splits.num_classes
        assert part.images.shape[1:] == splits.input_shape
    assert len(splits.mean) == len(splits.std) == splits.input_shape[0]
    assert all(std > 0 for std in splits.std)
    again = dataset.load(root)
    assert torch.equal(splits.train.images, again.train.images)
    assert torch.equal(splits.test.labels, again.test.labels)


def check_dataset_splits_are_disjoint(dataset: Dataset) -> None:
    """What is held out is not trained on, and together they are the training set."""
    train_images = dataset.load(Options().data_root).train
    numbered = Images(torch.arange(len(train_images)).view(-1, 1, 1, 1), train_images.labels)
    kept, held = hold_out(numbered, 0.25, dataset.fingerprint)
    ids = [set(part.images.flatten().tolist()) for part in (kept, held)]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == len(train_images)


CHECKS = (check_dataset_is_whole, check_dataset_splits_are_disjoint)
