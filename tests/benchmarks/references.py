"""What people run today: plain, fair code for each thing that nrbench does, as public repositories write it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

Loss = Callable[[Tensor, Tensor], Tensor]


def sgd_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    """One step of SGD."""
    optimizer.zero_grad()
    cross_entropy(model(images), labels).backward()
    optimizer.step()


def sam_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, *, rho: float = 0.05
) -> None:
    """One step of SAM, written to the weights and taken back, one parameter after the other (Foret et al. 2021)."""
    optimizer.zero_grad()
    cross_entropy(model(images), labels).backward()
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = torch.norm(torch.stack([p.grad.norm(p=2) for p in parameters]), p=2)
    kept = []
    with torch.no_grad():
        for p in parameters:
            kept.append(p.data.clone())
            p.add_(p.grad * (rho / (norm + 1e-12)))
    optimizer.zero_grad()
    cross_entropy(model(images), labels).backward()
    with torch.no_grad():
        for p, w in zip(parameters, kept, strict=True):
            p.data = w
    optimizer.step()


def rwp_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, *, sigma: float = 0.05
) -> None:
    """One step of RWP: Gaussian noise in units of each filter's largest weight, added in place and taken back."""
    kept = []
    with torch.no_grad():
        for p in model.parameters():
            kept.append(p.data.clone())
            if p.ndim > 1:
                unit = p.abs().amax(dim=tuple(range(1, p.ndim)), keepdim=True)
                p.add_(torch.randn_like(p) * unit * sigma)
    optimizer.zero_grad()
    cross_entropy(model(images), labels).backward()
    with torch.no_grad():
        for p, w in zip(model.parameters(), kept, strict=True):
            p.data = w
    optimizer.step()


def noisy_accuracy(model: nn.Module, images: Tensor, labels: Tensor, *, sigma: float, draws: int) -> list[float]:
    """Accuracy of noisy copies of a model: a deep copy for each draw, a DataLoader, float32."""
    found = []
    for _ in range(draws):
        noisy = copy.deepcopy(model).eval()
        with torch.no_grad():
            for p in noisy.parameters():
                if p.ndim > 1:
                    unit = p.abs().amax(dim=tuple(range(1, p.ndim)), keepdim=True)
                    p.add_(torch.randn_like(p) * unit * sigma)
            right = 0
            for batch, targets in DataLoader(TensorDataset(images, labels), batch_size=128):
                right += (noisy(batch).argmax(1) == targets).sum().item()
        found.append(right / len(labels))
    return found


class _Pictures(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's data sets keep them, with the usual transforms of CIFAR."""

    def __init__(self, images: Tensor, labels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        to_pil = transforms.ToPILImage()
        self._images = [to_pil(image) for image in images]
        self._labels = labels.tolist()
        self._transform = transforms.Compose(
            [
                transforms.RandomCrop(images.shape[-1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(self._images[index]), self._labels[index]


def loader(
    images: Tensor, labels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> Iterable[tuple[Tensor, Tensor]]:
    """Augmented batches of 128 from torchvision's transforms, in this process."""
    return DataLoader(_Pictures(images, labels, mean, std), batch_size=128, shuffle=True)
