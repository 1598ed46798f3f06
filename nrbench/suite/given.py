"""Weights as people bring them: what is read in another way than it was written is said, what cannot be is refused."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nrbench.families.displacement import Weights
from nrbench.families.loading import difference, stored_tensors
from nrbench.families.sharing import aliases

_WRAPPERS = ("_orig_mod",)
"""Names that a wrapper puts into the middle of others: torch.compile of a part of a network."""
_COUNTERS = ("n_averaged",)
"""What an averaged model counts, which no pass reads."""
_PLAIN = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Numbers that stand for themselves."""


def taken(weights: Weights, model: nn.Module, *, note: Callable[[str], object]) -> Weights:
    """Return weights under the names of a network, as `copy_into` takes them; `note` is told of each thing that was done.

    A prefix common to all names goes (`module.`, `_orig_mod.`, `model.`), a counter of an averaged model too; counters of
    BatchNorm that older files lack are 0; half precision is widened. Raise `ValueError` for numbers that would need a
    scale, and for weights of another network, with the shortest list of what differs.
    """
    own, other = stored_tensors(model), aliases(model)
    found = dict(weights)
    for name in [name for name in found if name.rpartition(".")[2] in _COUNTERS and name not in own]:
        del found[name]
        note(f"{name}, the counter of an averaged model, is left out")
    found = _unwrapped(found, own, note)
    counters = [name for name in own if name.endswith("num_batches_tracked") and name not in found]
    if counters:
        found |= {name: torch.zeros_like(own[name], device="cpu") for name in counters}
        note(f"{len(counters)} counters of BatchNorm are not in the file and are 0, which no evaluation reads")
    for name, first in other.items():
        if first in found or name in found:
            found.setdefault(first, found.get(name, found.get(first)))  # type: ignore[arg-type]
            if name in own and name not in found:
                found[name] = found[first]
                note(f"{name} is tied to {first}")
    if message := difference(own, found):
        raise ValueError(f"weights of another network: {message}")
    for kind, to in dict.fromkeys((t.dtype, own[n].dtype) for n, t in found.items() if t.dtype != own[n].dtype):
        note(f"what is {_kind(kind)} in the file becomes {_kind(to)}")
    return {name: _number(name, tensor, own[name]) for name, tensor in found.items()}


def _unwrapped(weights: dict[str, Tensor], own: Weights, note: Callable[[str], object]) -> dict[str, Tensor]:
    heads = {name.partition(".")[0] for name in own}
    while weights and len(first := {name.partition(".")[0] for name in weights}) == 1:
        (head,) = first
        if head in heads or not all("." in name for name in weights):
            break
        weights = {name.removeprefix(f"{head}."): tensor for name, tensor in weights.items()}
        note(f"the prefix {head}. of all names is left out")
    for wrapper in _WRAPPERS:
        if any(f".{wrapper}." in name for name in weights) and not any(f".{wrapper}." in name for name in own):
            weights = {name.replace(f".{wrapper}.", "."): tensor for name, tensor in weights.items()}
            note(f"{wrapper}. in the middle of names is left out")
    return weights


def _number(name: str, tensor: Tensor, own: Tensor) -> Tensor:
    if tensor.dtype == own.dtype:
        return tensor
    if own.is_floating_point() and tensor.dtype not in _PLAIN:
        raise ValueError(
            f"{name} is {_kind(tensor.dtype)}: without the scale that belongs to it nobody knows its weights"
        )
    if not own.is_floating_point() and (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"{name} is {_kind(tensor.dtype)}, the network has {_kind(own.dtype)} there")
    number = tensor.to(own.dtype)
    if own.is_floating_point() and not number.isfinite().all() and tensor.isfinite().all():
        raise ValueError(
            f"{name} has numbers that {_kind(own.dtype)} does not reach, which is what the network computes in"
        )
    return number


def _kind(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
