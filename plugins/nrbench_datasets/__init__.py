"""Data sets: Fashion-MNIST mini, a user's own arrays, and synthetic images for tests."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_datasets.fashion_mnist_mini import FashionMNISTMini
from nrbench_datasets.npz import Npz
from nrbench_datasets.synthetic import Synthetic

__all__ = ["FashionMNISTMini", "Npz", "Synthetic", "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The data sets of this package."""
    return [FashionMNISTMini, Npz, Synthetic]
