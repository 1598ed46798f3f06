from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from scipy.io import savemat

from nrbench import DataError, DataFile, Dataset, Splits, testing
from nrbench.testing.component import check_is_described, check_survives_json
from nrbench.testing.dataset import check_dataset_is_whole
from nrbench_datasets import CIFAR10, CIFAR100, MNIST, SVHN, FashionMNIST, FashionMNISTMini, Folder, Npz, Synthetic
from nrbench_datasets.folder import ImageFolder


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


def images(count: int, shape: tuple[int, ...], *, classes: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random bytes and labels."""
    chance = np.random.default_rng(seed)
    return chance.integers(0, 256, (count, *shape), np.uint8), chance.integers(0, classes, count)


def write_cifar10(root: Path) -> tuple[np.ndarray, np.ndarray]:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    pixels, labels = images(60, (3, 32, 32))
    records = np.concatenate([labels[:, None].astype(np.uint8), pixels.reshape(60, -1)], 1)
    for part, name in zip(np.split(records, 6), [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], strict=True):
        (folder / f"{name}.bin").write_bytes(part.tobytes())
    return pixels, labels


def write_cifar100(root: Path) -> tuple[np.ndarray, np.ndarray]:
    folder = root / "cifar-100-binary"
    folder.mkdir(parents=True)
    pixels, labels = images(60, (3, 32, 32), classes=100)
    both = np.stack([labels // 5, labels], 1).astype(np.uint8)
    records = np.concatenate([both, pixels.reshape(60, -1)], 1)
    (folder / "train.bin").write_bytes(records[:50].tobytes())
    (folder / "test.bin").write_bytes(records[50:].tobytes())
    return pixels, labels


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes())


def write_mnist(root: Path, folder: str = "MNIST") -> tuple[np.ndarray, np.ndarray]:
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    pixels, labels = images(60, (28, 28))
    for part, rows in (("train", slice(0, 50)), ("t10k", slice(50, 60))):
        (raw / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(pixels[rows]))
        (raw / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels[rows].astype(np.uint8)))
    return pixels[:, None], labels


def write_fashion_mnist(root: Path) -> tuple[np.ndarray, np.ndarray]:
    return write_mnist(root, "FashionMNIST")


def write_svhn(root: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = images(60, (3, 32, 32))
    ten_is_zero = np.where(labels == 0, 10, labels)
    for part, rows in (("train", slice(0, 50)), ("test", slice(50, 60))):
        table = {"X": pixels[rows].transpose(2, 3, 1, 0), "y": ten_is_zero[rows, None].astype(np.uint8)}
        savemat(root / f"{part}_32x32.mat", table)
    return pixels, labels


Writer = Callable[[Path], tuple[np.ndarray, np.ndarray]]
PUBLISHED: list[tuple[type[Dataset], Writer]] = [
    (CIFAR10, write_cifar10),
    (CIFAR100, write_cifar100),
    (MNIST, write_mnist),
    (FashionMNIST, write_fashion_mnist),
    (SVHN, write_svhn),
]


@pytest.mark.parametrize(("dataset", "write"), PUBLISHED)
def test_files_in_the_published_formats_are_read(dataset: type[Dataset], write: Writer, tmp_path: Path) -> None:
    """Without checksums, files of the published layout give the images and labels that were put into them, with a caveat."""
    pixels, labels = write(tmp_path)
    source = dataset(checksums="none")  # type: ignore[call-arg]
    splits = source.load(tmp_path)
    for part, rows in ((splits.train, slice(0, 50)), (splits.test, slice(50, 60))):
        assert np.array_equal(part.images.numpy(), pixels[rows])
        assert part.labels.tolist() == labels[rows].tolist()
        assert part.images.dtype == torch.uint8
    assert source.caveat == "non-standard data"
    assert dataset().caveat == ""  # type: ignore[call-arg]
    assert source.fingerprint != dataset().fingerprint  # type: ignore[call-arg]


@pytest.mark.parametrize(("dataset", "write"), PUBLISHED)
def test_missing_files_are_named(
    dataset: type[Dataset], write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, what is wanted where is one message, whether hashes are checked or not."""
    monkeypatch.setenv("NRBENCH_OFFLINE", "1")
    for checksums in ("published", "none"):
        with pytest.raises(DataError, match=f"wants .*{tmp_path}.*NRBENCH_DATA_DIR"):
            dataset(checksums=checksums).load(tmp_path)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("dataset", "write", "file"),
    [(MNIST, write_mnist, "MNIST/raw/train-images-idx3-ubyte.gz"), (SVHN, write_svhn, "train_32x32.mat")],
)
def test_other_files_than_the_published_are_refused(
    dataset: type[Dataset], write: Writer, file: str, tmp_path: Path
) -> None:
    """A file with another hash is named and never parsed."""
    write(tmp_path)
    with pytest.raises(DataError, match=f"{file} is not the published file"):
        dataset().load(tmp_path)  # type: ignore[call-arg]


class Canary:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_poisoned_pickle_is_never_loaded(tmp_path: Path) -> None:
    """CIFAR's published files are pickles: one with another hash is refused before it can run anything."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    with pytest.raises(DataError, match="is not the published file"):
        CIFAR100().load(tmp_path)
    assert not (tmp_path / "canary").exists()


@pytest.fixture
def cifar100_files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """CIFAR-100's three files with made-up images, under hashes put into torchvision for them."""
    from torchvision import datasets

    parts = {name: images(20, (3, 32, 32), classes=100, seed=seed) for seed, name in enumerate(("train", "test"))}
    contents = {
        name: pickle.dumps({"data": x.reshape(20, -1), "fine_labels": y.tolist()}) for name, (x, y) in parts.items()
    }
    contents["meta"] = pickle.dumps({"fine_label_names": [str(label) for label in range(100)]})
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [["train", md5["train"]]])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [["test", md5["test"]]])
    monkeypatch.setattr(datasets.CIFAR100, "meta", {"filename": "meta", "key": "fine_label_names", "md5": md5["meta"]})
    monkeypatch.setenv("NRBENCH_OFFLINE", "1")
    return contents


def is_what_was_written(splits: Splits) -> bool:
    parts = [images(20, (3, 32, 32), classes=100, seed=seed) for seed in (0, 1)]
    return splits.num_classes == 100 and all(
        np.array_equal(part.images.numpy(), x) and part.labels.tolist() == y.tolist()
        for part, (x, y) in zip((splits.train, splits.test), parts, strict=True)
    )


def test_pickles_with_the_published_hash_are_read(tmp_path: Path, cifar100_files: dict[str, bytes]) -> None:
    """Files that have the hashes torchvision knows go through torchvision."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name, content in cifar100_files.items():
        (folder / name).write_bytes(content)
    assert is_what_was_written(CIFAR100().load(tmp_path))


def packed(files: dict[str, bytes], *, extra: Callable[[tarfile.TarFile], None] = lambda tar: None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        extra(tar)
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def test_the_published_archive_is_unpacked(
    tmp_path: Path, cifar100_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that was put into the data directory serves offline, and nothing but the wanted files comes out of it."""
    from torchvision import datasets

    def hostile(tar: tarfile.TarFile) -> None:
        for name in ("cifar-100-python/../../escaped", "/tmp/cifar-100-python/absolute", "cifar-100-python/other"):
            tar.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("cifar-100-python/train")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere")
        tar.addfile(link)

    content = packed(cifar100_files, extra=hostile)
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", hashlib.md5(content).hexdigest())
    root = tmp_path / "data"
    root.mkdir()
    (root / "cifar-100-python.tar.gz").write_bytes(content)
    assert is_what_was_written(CIFAR100().load(root))
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()}
    assert found == {"data/cifar-100-python.tar.gz", *(f"data/cifar-100-python/{name}" for name in cifar100_files)}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "it is cut short or altered"),
        (lambda content: content[:-1] + b"x", "it is cut short or altered"),
        (lambda content: b"<!DOCTYPE html><html>Not found</html>", "it is an HTML page"),
        (lambda content: b"\n<HTML>", "it is an HTML page"),
        (lambda content: b"", "it is cut short or altered, 0 bytes"),
    ],
    ids=["truncated", "one byte", "page", "old page", "empty"],
)
def test_another_archive_than_the_published_is_refused(
    tmp_path: Path,
    cifar100_files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[bytes], bytes],
    message: str,
) -> None:
    """A truncated archive, a wrong hash or an HTML page saved for one is refused before it is opened, and says which."""
    from torchvision import datasets

    content = packed(cifar100_files)
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", hashlib.md5(content).hexdigest())
    monkeypatch.setattr(tarfile, "open", None)
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(damage(content))
    with pytest.raises(DataError, match=f"cifar-100-python.tar.gz is not the published file: {message}"):
        CIFAR100().load(tmp_path)
    assert not (tmp_path / "cifar-100-python").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "no whole number of records"),
        (lambda content: b"", "no whole number of records"),
        (lambda content: b"<html>" + b" " * 3067 + content, "no whole number|has the class"),
        (lambda content: bytes([0, 100]) + content[2:], "has the class 100"),
    ],
    ids=["truncated", "empty", "page", "label"],
)
def test_damaged_cifar(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    """A file cut short, an empty one, a page saved in its place, and a class that is none are told."""
    write_cifar100(tmp_path)
    path = tmp_path / "cifar-100-binary" / "train.bin"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        CIFAR100(checksums="none").load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "no gzip file"),
        (gzip.compress(b"<html>"), "no IDX file"),
        (idx(np.zeros((50, 28, 28), np.uint8))[:40], "no gzip file"),
        (gzip.compress(gzip.decompress(idx(np.zeros((50, 28, 28), np.uint8)))[:-1]), "cut short"),
        (idx(np.zeros((49, 28, 28), np.uint8)), "49 images and 50 labels"),
    ],
    ids=["page", "other", "truncated", "short", "count"],
)
def test_damaged_mnist(tmp_path: Path, content: bytes, message: str) -> None:
    """Whatever stands where an IDX file should be is told."""
    write_mnist(tmp_path)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        MNIST(checksums="none").load(tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [11]])}, "labels other than 1 to 10"),
        ({"X": np.zeros((32, 32, 3, 3), np.uint8), "y": np.array([[1], [2]])}, "does not hold"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8)}, "no MATLAB file with X and y"),
    ],
    ids=["label", "count", "missing"],
)
def test_damaged_svhn(tmp_path: Path, table: dict[str, np.ndarray], message: str) -> None:
    """A MATLAB file with other contents is told."""
    write_svhn(tmp_path)
    savemat(tmp_path / "train_32x32.mat", table)
    with pytest.raises(DataError, match=message):
        SVHN(checksums="none").load(tmp_path)


@pytest.mark.parametrize(("dataset", "write"), PUBLISHED)
def test_what_reads_files_passes_the_published_checks(
    dataset: type[Dataset], write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read from files of its published format, a data set passes the checks that are published for plugin authors."""
    write(tmp_path)
    monkeypatch.setenv("NRBENCH_DATA_DIR", str(tmp_path))
    for check in (check_survives_json, check_is_described, check_dataset_is_whole):
        check(dataset(checksums="none"))  # type: ignore[call-arg]


def test_a_users_own_arrays_pass_the_published_checks(tmp_path: Path) -> None:
    """An archive of one's own passes every check that concerns a data set."""
    own = archive(tmp_path)
    for check in testing.checks_for(own):
        check(own)


def write_images(folder: Path, names: list[str], *, size: int = 8, mode: str = "RGB") -> None:
    chance = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = chance.integers(0, 256, (size, size, 3) if mode == "RGB" else (size, size), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)


def test_a_directory_for_each_class(tmp_path: Path) -> None:
    """Images are those in the files, labels the directories in order, and a split by content survives renaming files."""
    write_images(tmp_path / "a", [f"{label}/{index}.png" for label in ("cat", "dog") for index in range(40)])
    data = Folder(path=ImageFolder.model_validate(str(tmp_path / "a")))
    splits = data.load(Path())
    assert splits.class_names == ("cat", "dog")
    assert len(splits.train) + len(splits.test) == 80
    assert 4 <= len(splits.test) <= 28
    first = np.asarray(Image.open(tmp_path / "a" / "cat" / "0.png")).transpose(2, 0, 1)
    assert any((image.numpy() == first).all() for image in (*splits.train.images, *splits.test.images))
    for path in list((tmp_path / "a").rglob("*.png")):
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(DataError, match="has changed"):
        data.load(Path())
    renamed = Folder(path=ImageFolder.model_validate(str(tmp_path / "a")))
    assert renamed.fingerprint != data.fingerprint
    assert sorted(splits.test.images.sum((1, 2, 3)).tolist()) == sorted(
        renamed.load(Path()).test.images.sum((1, 2, 3)).tolist()
    )


def test_directories_that_say_what_is_tested_on(tmp_path: Path) -> None:
    """Under train and test the split is theirs, grey images are taken as grey, and sizes are brought together."""
    write_images(tmp_path, [f"train/{label}/{i}.png" for label in ("a", "b") for i in range(5)], mode="L")
    write_images(tmp_path, [f"test/{label}/{i}.png" for label in ("a", "b") for i in range(2)], size=12, mode="L")
    folder = ImageFolder.model_validate(str(tmp_path))
    with pytest.raises(DataError, match="different sizes: say `size`"):
        Folder(path=folder, channels=1).load(Path())
    splits = Folder(path=folder, channels=1, size=8).load(Path())
    assert (len(splits.train), len(splits.test), splits.input_shape) == (10, 4, (1, 8, 8))
    check_dataset_is_whole(Folder(path=folder, channels=1, size=8))
    (tmp_path / "train" / "a" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train/a/0\.png is no image"):
        Folder(path=ImageFolder.model_validate(str(tmp_path)), channels=1, size=8).load(Path())


def test_channels_last_and_labels_in_a_column(tmp_path: Path) -> None:
    """Images with their channels last are those with their channels first, and a column of labels is a row of them."""
    first = archive(
        tmp_path,
        train_images=np.eye(8, dtype=np.uint8)[None, None].repeat(20, 0).repeat(3, 1),
        test_images=np.ones((8, 3, 8, 8), np.uint8),
    )
    assert first.load(Path()).input_shape == (3, 8, 8)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 9, 8, 3), dtype=np.uint8)
    last = archive(
        tmp_path, train_images=pixels, test_images=pixels[:8] ^ 1, train_labels=(np.arange(20) % 4)[:, None]
    ).load(Path())
    assert (last.train.images.numpy() == pixels.transpose(0, 3, 1, 2)).all()
    assert last.train.labels.tolist() == [index % 4 for index in range(20)]
    unclear = np.random.default_rng(1).integers(0, 256, (20, 3, 8, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="first or last"):
        archive(tmp_path, train_images=unclear, test_images=unclear[:8] ^ 1).load(Path())
    said = archive(tmp_path, train_images=unclear, test_images=unclear[:8] ^ 1).replace(channels="last").load(Path())
    assert said.input_shape == (3, 3, 8)


def test_a_validation_split_and_names_of_classes(tmp_path: Path) -> None:
    """Epochs are chosen on the images that the archive sets apart, and nothing is held out of the training images."""
    extra = {"val_images": np.ones((2, 5, 6), np.uint8), "val_labels": np.array([0, 1])}
    splits = archive(tmp_path, **extra, class_names=np.array(["a", "b", "c", "d"])).load(Path())
    kept, validation = splits.held_out(0.5, "key")
    assert len(kept) == len(splits.train)
    assert len(validation) == 2
    assert splits.class_names == ("a", "b", "c", "d")
    with pytest.raises(DataError, match="belong together"):
        archive(tmp_path, val_images=extra["val_images"]).load(Path())


@pytest.mark.parametrize("shape", [(64, 1, 1), (28, 3, 3), (28, 4, 4), (3, 3, 28), (3, 28, 4)])
def test_channels_that_may_be_on_either_side(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """A shape that can be read in two ways is refused, whatever one would guess."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, *shape), dtype=np.uint8)
    with pytest.raises(DataError, match="first or last"):
        archive(tmp_path, train_images=pixels, test_images=pixels[:8]).load(Path())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": np.zeros(20, int)}, "all training labels are 0"),
        ({"train_labels": np.arange(20) % 2 * 7}, "labels go up to 7 and no training image has 1"),
        ({"train_labels": np.arange(20) % 4 + 1}, "no training image has 0; classes are counted from 0"),
        ({"train_labels": np.where(np.arange(20), np.arange(20) % 4, 2**40)}, "labels go up to 1099511627776"),
        ({"train_labels": (np.arange(20) % 4).astype("m8[s]")}, "not one integer for each image"),
        ({"train_images": np.full((20, 5, 6), 7, np.uint8)}, "all pixels of the training images are 7"),
        (
            {"val_images": np.ones((2, 4, 4), np.uint8), "val_labels": np.array([0, 1])},
            "val images differ in shape from the training images",
        ),
    ],
)
def test_labels_and_pixels_that_nobody_has(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    """Classes are 0, 1, … and each of them occurs; images are not all of one colour; and what is said names the right part."""
    with pytest.raises(DataError, match=message):
        archive(tmp_path, **changes).load(Path())


def folder_of(path: Path, **options: object) -> Folder:
    return Folder.model_validate({"path": str(path), **options})


def names(*classes: str, count: int = 8) -> list[str]:
    return [f"{each}/{index}.png" for each in classes for index in range(count)]


def test_directories_of_a_split_in_any_case_with_validation(tmp_path: Path) -> None:
    """Train, Test and val are a training, a test and a validation set; nothing hidden is a class or an image."""
    write_images(tmp_path, names("Train/a", "Train/b", "Test/a", "Test/b", "val/a", "val/b"))
    write_images(tmp_path, names(".ipynb_checkpoints/a", "Train/.thumbnails", "Train/a/.cache"))
    for number, path in enumerate(sorted(tmp_path.rglob("*.png"))):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(path)
    splits = folder_of(tmp_path).load(Path())
    assert splits.class_names == ("a", "b")
    assert (len(splits.train), len(splits.test), len(splits.validation or ())) == (16, 16, 16)


def numbered(folder: Path) -> None:
    """Let every image be another."""
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(path)


def test_a_class_called_train(tmp_path: Path) -> None:
    """A directory called as a split is one where there is a split, and a class beside other classes."""
    write_images(tmp_path, names("car", "plane", "train", count=30))
    numbered(tmp_path)
    assert folder_of(tmp_path).load(Path()).class_names == ("car", "plane", "train")


def test_validation_images_where_there_are_no_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a training and a validation set, as ImageNet has them, the latter is tested on, and it is said."""
    write_images(tmp_path, names("train/a", "train/b", "val/a", "val/b"))
    numbered(tmp_path)
    splits = folder_of(tmp_path).load(Path())
    assert (len(splits.train), len(splits.test), splits.validation) == (16, 16, None)
    assert "are tested on" in caplog.text


def test_small_classes_have_test_images(tmp_path: Path) -> None:
    """However few images a class has, one of them is tested on and one is trained on."""
    write_images(tmp_path, names(*(f"c{index}" for index in range(10)), count=3))
    numbered(tmp_path)
    splits = folder_of(tmp_path).load(Path())
    assert torch.unique(splits.test.labels).tolist() == torch.unique(splits.train.labels).tolist() == list(range(10))


def test_a_link_to_a_class_is_followed(tmp_path: Path) -> None:
    """A class that is a link to a directory elsewhere is a class like the others."""
    write_images(tmp_path / "data", names("cats", count=30))
    write_images(tmp_path / "elsewhere", names("birds", count=30))
    (tmp_path / "data" / "birds").symlink_to(tmp_path / "elsewhere" / "birds")
    for number, path in enumerate(sorted((tmp_path / "data").glob("*/*.png"))):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(path)
    assert folder_of(tmp_path / "data").load(Path()).class_names == ("birds", "cats")
    (tmp_path / "data" / "cats" / "again").symlink_to(tmp_path / "data")
    with pytest.raises((DataError, ValidationError), match="met twice"):
        folder_of(tmp_path / "data").load(Path())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (names("train/a", "train/b", "val/a", "val/b", "x"), "either they are classes, or a training set"),
        (names("train/a", "train/b", "test/a", "test/b", "cats"), "either they are classes"),
        ([*names("a", "b", count=40), "stray.png"], "stray.png in .* lies in the directory of no class"),
        (names("a"), "has 1 directories with images"),
        (names("train/a", "train/b", "test/c", "test/a"), "there are no train images of c"),
        (names("a", "b", count=1), "there are no (train|test) images"),
    ],
)
def test_directories_that_are_no_classes(tmp_path: Path, made: list[str], message: str) -> None:
    """What is neither classes nor splits of them is refused, with what was found."""
    write_images(tmp_path, made)
    for number, path in enumerate(sorted(tmp_path.rglob("*.png"))):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(path)
    with pytest.raises(DataError, match=message):
        folder_of(tmp_path).load(Path())


def test_a_class_without_images(tmp_path: Path) -> None:
    """A directory whose files are in no format that is read does not vanish without a word."""
    write_images(tmp_path, names("a", "b", count=40))
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds" / "1.jfif").write_bytes(b"")
    with pytest.raises(DataError, match=r"birds has no images that are read, which are \.png"):
        folder_of(tmp_path).load(Path())


def test_training_images_that_are_tested_on(tmp_path: Path) -> None:
    """A test set that is the training set again is refused."""
    write_images(tmp_path, names("train/a", "train/b"))
    shutil.copytree(tmp_path / "train", tmp_path / "test")
    with pytest.raises(DataError, match=r"every test image in .* is a training image too"):
        folder_of(tmp_path).load(Path())


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000), "pixels of more than 8 bits"),
        (Image.fromarray(np.arange(64, dtype=np.int32).reshape(8, 8)), "pixels of more than 8 bits"),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), "transparent pixels"),
    ],
)
def test_pixels_without_a_plain_meaning(tmp_path: Path, image: Image.Image, message: str) -> None:
    """Numbers of more than 8 bits and transparent pixels are refused: they would become white, or what nobody sees."""
    write_images(tmp_path, names("a", "b", count=20))
    image.save(tmp_path / "a" / "0.tif")
    with pytest.raises(DataError, match=message):
        folder_of(tmp_path).load(Path())


def test_an_image_that_its_camera_turned(tmp_path: Path) -> None:
    """A mark that says how the camera was held is obeyed, as every viewer does."""
    write_images(tmp_path, names("train/a", "train/b", "test/a", "test/b"))
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    marks = Image.Exif()
    marks[0x0112] = 3  # turned by 180°
    for name in names("test/a"):
        Image.fromarray(np.stack([pixels + int(Path(name).stem)] * 3, 2)).save(tmp_path / name, exif=marks)
    found = folder_of(tmp_path).load(Path()).test
    assert (found.images[found.labels == 0][0, 0].numpy() == pixels[::-1, ::-1]).all()


def test_names_of_files_cannot_stand_for_others(tmp_path: Path) -> None:
    """Two directories whose names and hashes read alike in a line have different fingerprints."""
    digest = hashlib.sha256(b"1").hexdigest()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(b"1")
    (tmp_path / "one" / "b.png").write_bytes(b"1")
    (tmp_path / "two" / f'a.png" {digest}\n"').mkdir(parents=True)
    (tmp_path / "two" / f'a.png" {digest}\n"' / "b.png").write_bytes(b"1")
    assert ImageFolder.hashed(tmp_path / "one") != ImageFolder.hashed(tmp_path / "two")


@pytest.mark.parametrize("part", [("train", "test"), ("train", "val"), ("test", "val")])
@pytest.mark.parametrize("share", [2, 1])
def test_images_that_stand_in_two_parts_are_refused(tmp_path: Path, part: tuple[str, str], share: int) -> None:
    """An archive whose test or validation images are others of its images, all or a half of them, is no data set."""
    chance = np.random.default_rng(0)
    images = {name: chance.integers(0, 256, (20, 5, 6), dtype=np.uint8) for name in ("train", "val", "test")}
    images[part[1]][: 20 // share] = images[part[0]][: 20 // share]
    labels = {f"{name}_labels": np.arange(20) % 4 for name in images}
    with pytest.raises(DataError, match=f"{20 // share} of 20 {part[1]} images are {part[0]} images too"):
        archive(tmp_path, **{f"{name}_images": each for name, each in images.items()}, **labels).load(Path())
