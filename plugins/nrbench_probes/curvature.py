"""Curvature: what the Hessian H of the mean loss over images does to directions, by products Hv that never build it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from nrbench import Chips, NamedSplits, Network, Weights
from nrbench_probes.images import ImageProbe

PRODUCT = 9
"""Forward passes that Hv is counted as: a gradient, which is three of them, and its own gradient, of twice the graph."""


class Curvature(ImageProbe):
    """gᵀHg/‖g‖² along the gradient g, and the mean of zᵀHz/‖z‖² over random directions z with independent normal entries."""

    name: Literal["curvature"] = "curvature"
    numbers: ClassVar[tuple[str, ...]] = ("along_gradient", "along_random")
    paper: ClassVar[str] = "Incorruptible Neural Networks (ICLR 2026 submission), section 4.4"

    images: int = Field(default=256, ge=1)
    draws: int = Field(default=3, ge=1)
    """How many z the mean is taken over, the same ones for every network of a seed and at every epoch."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, 3 + PRODUCT * (1 + self.draws))

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images = self.part(data)
        directions = [network.gradient(images), *(normal(network, chips, draw) for draw in range(self.draws))]
        along, *across = (dot(v, network.hessian_product(images, v)) / max(dot(v, v), 1e-30) for v in directions)
        return {"along_gradient": along, "along_random": sum(across) / len(across)}


class HessianTrace(ImageProbe):
    """tr H, as the mean of zᵀHz over directions z of ±1, each with one chance in two."""

    name: Literal["hessian_trace"] = "hessian_trace"
    paper: ClassVar[str] = "Hutchinson 1990"

    images: int = Field(default=256, ge=1)
    draws: int = Field(default=10, ge=1)
    """How many z the mean is taken over."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, PRODUCT * self.draws)

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images, found = self.part(data), []
        for draw in range(self.draws):
            z = {name: tensor.sign() for name, tensor in normal(network, chips, draw).items()}
            found.append(dot(z, network.hessian_product(images, z)))
        return {"trace": sum(found) / len(found)}


class HessianEigenvalue(ImageProbe):
    """The largest and the smallest eigenvalue of H, by so many steps of Lanczos iteration from a random direction.

    Every step is made orthogonal to all before it. The largest is never overestimated, the smallest never underestimated.
    """

    name: Literal["hessian_eigenvalue"] = "hessian_eigenvalue"
    paper: ClassVar[str] = "Lanczos 1950; Golub and Van Loan, Matrix Computations, section 10.1"

    images: int = Field(default=256, ge=1)
    steps: int = Field(default=15, ge=2)
    """Products with H; the vectors of all steps are kept, each of the size of the weights."""

    def passes(self, images: Mapping[str, int]) -> float:
        return self.forwards(images, PRODUCT * self.steps)

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        images, start = self.part(data), normal(network, chips, 0)
        vector = _flat(start)
        basis: list[Tensor] = []
        diagonal: list[float] = []
        beside: list[float] = []
        for _ in range(min(self.steps, len(vector))):
            length = float(vector.norm())
            if basis:
                if length <= 1e-7 * max(
                    map(abs, (*diagonal, *beside, 1e-30))
                ):  # H leaves the space of the basis as it is
                    break
                beside.append(length)
            basis.append(vector / length)
            product = _flat(network.hessian_product(images, _unflat(basis[-1], start)))
            diagonal.append(float(basis[-1] @ product))
            for _ in range(2):  # once leaves rounding errors of the size of what it takes away
                for one in basis:
                    product -= (one @ product) * one
            vector = product
        values = eigh_tridiagonal(diagonal, beside, eigvals_only=True) if beside else diagonal
        return {"largest": float(values[-1]), "smallest": float(values[0])}


def normal(network: Network, chips: Chips, draw: int) -> Weights:
    """Return a direction with independent normal entries over all weights."""
    chance = chips.chip("probe", draw)
    return {name: chance.normal(name, weight.shape).to(weight) for name, weight in network.weights().items()}


def dot(first: Weights, second: Weights) -> float:
    """Return the scalar product of two directions."""
    return float(torch.stack([(first[name].double() * second[name].double()).sum() for name in first]).sum())


def _flat(direction: Weights) -> Tensor:
    return torch.cat([tensor.double().flatten() for tensor in direction.values()])


def _unflat(vector: Tensor, like: Weights) -> Weights:
    parts = torch.split(vector, [tensor.numel() for tensor in like.values()])
    return {name: part.view(like[name].shape).to(like[name].dtype) for part, name in zip(parts, like, strict=True)}
