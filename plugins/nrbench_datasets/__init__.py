"""Data sets: Fashion-MNIST mini, which comes along, CIFAR, MNIST and SVHN, a user's own arrays, images for tests."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_datasets.cifar import CIFAR10, CIFAR100
from nrbench_datasets.fashion_mnist_mini import FashionMNISTMini
from nrbench_datasets.folder import Folder
from nrbench_datasets.mnist import MNIST, FashionMNIST
from nrbench_datasets.npz import Npz
from nrbench_datasets.svhn import SVHN
from nrbench_datasets.synthetic import Synthetic

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "SVHN",
    "FashionMNIST",
    "FashionMNISTMini",
    "Folder",
    "Npz",
    "Synthetic",
    "nrbench_components",
]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The data sets of this package."""
    return [FashionMNISTMini, CIFAR10, CIFAR100, MNIST, FashionMNIST, SVHN, Npz, Folder, Synthetic]
