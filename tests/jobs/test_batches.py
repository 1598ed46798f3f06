from __future__ import annotations

from itertools import product

import pytest
import torch

from nrbench import Images, Recipe, Splits
from nrbench.jobs.batches import Batches, Normalisation, augmented

IMAGES = torch.arange(10 * 2 * 5 * 6, dtype=torch.int64).remainder(251).to(torch.uint8).view(10, 2, 5, 6) + 1


def batches(recipe: Recipe, seed: int = 0) -> Batches:
    part = Images(IMAGES, torch.arange(10))
    splits = Splits(part, part, 10, (0.5, 0.25), (0.25, 0.5))
    return Batches(part, Normalisation.of(splits, recipe, torch.device("cpu")), recipe, seed)


def test_normalisation_by_hand() -> None:
    """A pixel becomes (value / 255 - mean) / std of its channel, in the memory format asked for."""
    normalised = batches(Recipe()).normalise(IMAGES)
    expected = (IMAGES.float() / 255 - torch.tensor([0.5, 0.25]).view(1, 2, 1, 1)) / torch.tensor([0.25, 0.5]).view(
        1, 2, 1, 1
    )
    assert torch.allclose(normalised, expected, atol=1e-6)
    assert normalised.is_contiguous(memory_format=torch.channels_last)
    assert batches(Recipe(channels_last=False)).normalise(IMAGES).is_contiguous()


def test_an_epoch_shows_every_image_once_in_a_new_order() -> None:
    """Without augmentation the batches of an epoch are a permutation, which depends on seed and epoch alone."""
    ours = batches(Recipe(batch_size=4, augment=()))
    seen = [torch.cat([labels for _, labels in ours.epoch(number)]).tolist() for number in (1, 2, 1)]
    assert [sorted(order) for order in seen] == [list(range(10))] * 3
    assert seen[0] == seen[2] != seen[1]
    other = torch.cat([labels for _, labels in batches(Recipe(batch_size=4, augment=()), seed=1).epoch(1)]).tolist()
    assert other != seen[0]
    assert len(ours) == 3
    for images, labels in ours.epoch(1):
        assert torch.equal(images, ours.normalise(IMAGES[labels]))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("row", [0, 4, 8])
@pytest.mark.parametrize("column", [0, 3, 8])
def test_crop_and_flip_by_hand(flip: bool, row: int, column: int) -> None:
    """An augmented image is the padded one, mirrored where asked and cut out at its offset."""
    shift = torch.tensor([[row, column]]).expand(10, 2)
    ours = augmented(IMAGES, flip=torch.full((10,), flip), shift=shift)
    padded = torch.nn.functional.pad(IMAGES, (4, 4, 4, 4))
    expected = padded[:, :, row : row + 5, column : column + 6]
    assert torch.equal(ours, expected.flip(3) if flip else expected)


def test_each_image_is_augmented_by_itself() -> None:
    """Flips and offsets differ between the images of a batch, and over many epochs each of the 162 pairs comes up."""
    ours = batches(Recipe(batch_size=10))
    pairs: dict[tuple[int, bytes], tuple[bool, int, int]] = {}
    for flip, row, column in product((False, True), range(9), range(9)):
        shift = torch.tensor([[row, column]]).expand(10, 2)
        changed = ours.normalise(augmented(IMAGES, flip=torch.full((10,), flip), shift=shift))
        pairs |= {(label, image.numpy().tobytes()): (flip, row, column) for label, image in enumerate(changed)}
    seen = set()
    for number in range(1, 201):
        ((images, labels),) = ours.epoch(number)
        found = {pairs[label, image.numpy().tobytes()] for label, image in zip(labels.tolist(), images, strict=True)}
        assert len(found) > 5, "the images of a batch share their augmentation"
        seen |= found
    assert seen == set(product((False, True), range(9), range(9)))


@pytest.mark.parametrize(("augment", "count"), [((), 1), (("flip",), 2), (("crop",), 81)])
def test_only_what_the_recipe_names_is_done_to_an_image(augment: tuple[str, ...], count: int) -> None:
    """Without augmentation an image is always the same, flips alone give two variants of it, crops alone 81."""
    ours = batches(Recipe(batch_size=10, augment=augment))
    variants = {
        image.numpy().tobytes()
        for number in range(1, 801)
        for images, labels in ours.epoch(number)
        for image in images[labels == 3]
    }
    assert len(variants) == count


def test_flips_and_crops_of_a_batch_are_told_apart() -> None:
    """In one batch the images that are to be mirrored are mirrored and the others stay."""
    flips = torch.tensor([True, False] * 5)
    both = augmented(IMAGES, flip=flips, shift=None)
    assert torch.equal(both[flips], IMAGES[flips].flip(3))
    assert torch.equal(both[~flips], IMAGES[~flips])
