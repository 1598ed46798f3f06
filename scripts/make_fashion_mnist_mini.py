"""Make plugins/nrbench_datasets/data/fashion_mnist_mini.npz from the original Fashion-MNIST files.

    python scripts/make_fashion_mnist_mini.py DIRECTORY

DIRECTORY holds the four .gz files of Fashion-MNIST, such as /usr/share/datasets/fashion-mnist of Debian's package
dataset-fashion-mnist. The first 1,000 training and 200 test images of each class are taken, in their original order.
"""

import gzip
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np

TARGET = Path(__file__).parent.parent / "plugins/nrbench_datasets/data/fashion_mnist_mini.npz"


def idx(path: Path) -> np.ndarray:
    """Return the array in a gzipped IDX file of bytes."""
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def first_of_each_class(images: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `count` images of each class, in their original order."""
    rows = np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in range(10)]))
    return images[rows], labels[rows]


def main() -> None:
    """Write the archive and print its SHA-256, which fashion_mnist_mini.py names."""
    source = Path(sys.argv[1])
    arrays = {}
    for part, prefix, count in (("train", "train", 1000), ("test", "t10k", 200)):
        images, labels = idx(source / f"{prefix}-images-idx3-ubyte.gz"), idx(source / f"{prefix}-labels-idx1-ubyte.gz")
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = first_of_each_class(images, labels, count)
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))  # no clock: the same bytes every time
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, buffer.getvalue())
    print(f"{TARGET.stat().st_size:,} bytes, SHA-256 {hashlib.sha256(TARGET.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
