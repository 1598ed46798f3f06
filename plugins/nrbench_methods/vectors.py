"""All weights as one long vector: lengths, products and sums over tensors by name, without a wait for the device."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nrbench import NetworkWeights, Weights, laid_out


def length(tensors: Iterable[Tensor]) -> Tensor:
    """Return the Euclidean norm over all elements of several tensors, a scalar."""
    found: Tensor = torch.stack(torch._foreach_norm(list(tensors))).norm()
    return found


def product(first: Weights, second: Weights) -> Tensor:
    """Return the scalar product of two vectors, a scalar; a name that one of them lacks is 0 there."""
    names = [name for name in first if name in second]
    parts = torch._foreach_mul([first[name] for name in names], [second[name] for name in names])
    return torch.stack([part.sum() for part in parts]).sum()


def times(vector: Weights, factor: Tensor | float) -> dict[str, Tensor]:
    """Return a vector times a number or a scalar tensor."""
    return dict(zip(vector, torch._foreach_mul(list(vector.values()), factor), strict=True)) if vector else {}


def plus(first: Weights, second: Weights, factor: Tensor | float = 1.0) -> dict[str, Tensor]:
    """Return first + factor · second; a name that one of them lacks is 0 there."""
    scaled = times(second, factor)
    both = [name for name in first if name in scaled]
    sums = torch._foreach_add([first[name] for name in both], [scaled[name] for name in both]) if both else ()
    return {**first, **scaled, **dict(zip(both, sums, strict=True))}


def ascent(gradient: Weights, rho: float) -> dict[str, Tensor]:
    """Return the step of length ρ along a gradient; none where there is no gradient."""
    return times(gradient, rho / (length(gradient.values()) + 1e-12)) if gradient else {}


def displaced(weights: Weights) -> NetworkWeights:
    """Return what noise on all parameters is of, trained or not: a weight that is computed in a pass, and not its parts."""
    known = laid_out(weights)
    return known.only(n for n, weight in known.items() if weight.is_floating_point() and n not in known.layout.raw)


def is_vector(name: str, weights: Weights) -> bool:
    """Whether a parameter is no matrix with filters: it has one dimension or none, or belongs to a normalisation."""
    return weights[name].ndim < 2 or name in laid_out(weights).layout.norms


def filter_norms(weights: Weights) -> dict[str, Tensor]:
    """Return the Euclidean norm of each filter, an index of the first dimension, or of a whole vector; they broadcast."""
    norms: dict[str, Tensor] = {}
    for name, weight in weights.items():
        vector = is_vector(name, weights)
        dims = None if vector else tuple(range(1, weight.ndim))
        norms[name] = torch.linalg.vector_norm(weight, dim=dims, keepdim=not vector)
    return norms


def passes_in_parts(parts: int) -> float:
    """Return what a pass over a batch in parts is planned with: BatchNorm's statistics need another forward pass."""
    return 1.0 if parts == 1 else 1 + 1 / 3
