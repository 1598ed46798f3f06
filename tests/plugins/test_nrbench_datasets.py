from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nrbench import DataError, DataFile
from nrbench_datasets import FashionMNISTMini, Npz, Synthetic


def test_fashion_mnist_mini_is_balanced_and_real() -> None:
    """10,000 and 2,000 images of 28×28 in ten equal classes, none of the training images among the test images."""
    splits = FashionMNISTMini().load(Path())
    assert splits.train.images.shape == (10_000, 1, 28, 28)
    assert splits.test.images.shape == (2_000, 1, 28, 28)
    assert torch.bincount(splits.train.labels).tolist() == [1000] * 10
    assert torch.bincount(splits.test.labels).tolist() == [200] * 10
    seen = {image.numpy().tobytes() for image in splits.train.images}
    assert not any(image.numpy().tobytes() in seen for image in splits.test.images)
    assert splits.mean[0] == pytest.approx(0.286, abs=0.003)  # the full set's, as its users know it
    assert splits.std[0] == pytest.approx(0.353, abs=0.003)


def test_train_size_takes_a_balanced_part() -> None:
    """A smaller training set is the same for everybody, balanced, and a part of the larger."""
    small, whole = FashionMNISTMini(train_size=200).load(Path()), FashionMNISTMini().load(Path())
    assert torch.bincount(small.train.labels).tolist() == [20] * 10
    known = {image.numpy().tobytes() for image in whole.train.images}
    assert all(image.numpy().tobytes() in known for image in small.train.images)
    assert torch.equal(small.test.images, whole.test.images)


def arrays(**changes: object) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(0)
    whole: dict[str, object] = {
        "train_images": chance.integers(0, 256, (20, 5, 6), np.uint8),
        "train_labels": np.arange(20) % 4,
        "test_images": chance.integers(0, 256, (8, 5, 6), np.uint8),
        "test_labels": np.arange(8) % 4,
    } | changes
    return {name: value for name, value in whole.items() if isinstance(value, np.ndarray)}


def archive(folder: Path, **changes: object) -> Npz:
    np.savez(folder / "own.npz", **arrays(**changes))
    return Npz(file=DataFile.model_validate(str(folder / "own.npz")))


def test_a_users_own_arrays(tmp_path: Path) -> None:
    """Arrays come back as tensors, with the mean and standard deviation of the training images."""
    splits = archive(tmp_path).load(Path())
    assert splits.input_shape == (1, 5, 6)
    assert splits.num_classes == 4
    pixels = arrays()["train_images"] / 255
    assert splits.mean[0] == pytest.approx(pixels.mean())
    assert splits.std[0] == pytest.approx(pixels.std(ddof=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_labels": None}, "lacks the arrays test_labels"),
        ({"train_images": np.zeros((20, 5, 6))}, "not uint8"),
        ({"train_images": np.zeros((20, 30), np.uint8)}, "not uint8 of"),
        ({"train_labels": np.zeros(19, int)}, "one integer for each image"),
        ({"train_labels": np.full(20, -1)}, "negative"),
        ({"test_labels": np.full(8, 9)}, "class that the training set lacks"),
        ({"test_images": np.zeros((8, 7, 7), np.uint8)}, "differ in shape"),
        ({"train_labels": np.array([object()] * 20)}, "no archive of plain arrays"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arrays_that_are_no_images_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    """Each way an archive can be wrong is a sentence that says which; pickled objects are never loaded."""
    with pytest.raises(DataError, match=message):
        archive(tmp_path, **changes).load(Path())


@pytest.mark.parametrize(
    "content", [b"<html>not found</html>", b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00v\x00{'descr': '|u1'"]
)
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    """A page saved as .npz, an empty file, a torn archive or a single array is a clear error."""
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(DataError, match="no archive"):
        Npz(file=DataFile.model_validate(str(tmp_path / "own.npz"))).load(Path())


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    """An .npy file under the name .npz is a clear error."""
    np.save(tmp_path / "own.npy", np.zeros(3))
    with pytest.raises(DataError, match="no archive"):
        Npz(file=DataFile.model_validate(str(tmp_path / "own.npy"))).load(Path())


def test_synthetic_images_can_be_learned() -> None:
    """A nearest-prototype rule classifies the synthetic test images far better than chance."""
    splits = Synthetic(train_size=256, test_size=128).load(Path())
    flat = splits.train.images.flatten(1).float()
    prototypes = torch.stack([flat[splits.train.labels == label].mean(0) for label in range(splits.num_classes)])
    guesses = torch.cdist(splits.test.images.flatten(1).float(), prototypes).argmin(1)
    assert (guesses == splits.test.labels).double().mean() > 0.9
