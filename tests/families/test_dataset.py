from __future__ import annotations

import pytest
import torch

from nrbench import DataError, Images
from nrbench.families.dataset import hold_out, shuffled

PART = Images(torch.arange(200).view(200, 1, 1, 1), torch.arange(200) % 5)


def test_the_held_out_part_is_balanced_and_fixed() -> None:
    """The same share of every class, each image with its label, disjoint from the rest, fixed by the fingerprint alone."""
    kept, held = hold_out(PART, 0.1, "a")
    assert torch.bincount(held.labels).tolist() == [4] * 5
    for part in (kept, held):
        assert torch.equal(part.labels, part.images.flatten() % 5)
    assert sorted(kept.images.flatten().tolist() + held.images.flatten().tolist()) == list(range(200))
    assert torch.equal(held.images, hold_out(PART, 0.1, "a")[1].images)
    assert not torch.equal(held.images, hold_out(PART, 0.1, "b")[1].images)


def test_nothing_can_be_held_out() -> None:
    """A fraction of 0 leaves the training set whole, in its own order."""
    kept, held = hold_out(PART, 0, "a")
    assert torch.equal(kept.images, PART.images)
    assert len(held) == 0


def test_a_fraction_that_leaves_a_part_empty_is_refused() -> None:
    """Too few images for the fraction asked for is an error that says so."""
    with pytest.raises(DataError, match="empty"):
        hold_out(PART[slice(0, 5)], 0.01, "a")


def test_the_order_of_images_does_not_follow_their_classes() -> None:
    """Shuffled once, any chunk of a set sorted by class holds several classes, and each image keeps its label."""
    order = PART.labels.argsort(stable=True)
    mixed = shuffled(PART[order], "a")
    assert all(len(chunk.unique()) > 2 for chunk in mixed.labels.tensor_split(10))
    assert torch.equal(mixed.labels, mixed.images.flatten() % 5)
    assert sorted(mixed.images.flatten().tolist()) == list(range(200))
