"""Weights and a model: which tensors a state dict has, how two of them are compared, and how one is written in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from nrbench.families.displacement import Weights
from nrbench.families.sharing import aliases


def copy_into(model: nn.Module, weights: Weights) -> None:
    """Write stored weights into a model, keeping its memory format: load_state_dict(assign=True) would change it.

    A tensor with several names may be given under any of them. Raise `ValueError` for weights of another network, and
    for two values of one tensor.
    """
    own, other = stored_tensors(model), aliases(model)
    weights = dict(weights)
    for name, first in other.items():
        if name in weights and not same_values(weights.setdefault(first, weights[name]), weights[name]):
            raise ValueError(f"{first} and {name} are one tensor of the network, and have different values here")
        if first in weights and name in own:
            weights[name] = weights[first]
    if message := difference(own, weights):
        raise ValueError(f"weights of another network: {message}")
    with torch.no_grad():
        for name, tensor in own.items():
            if not any(stride == 0 and size > 1 for size, stride in zip(tensor.shape, tensor.stride(), strict=True)):
                tensor.copy_(weights[name])
            elif not same_values(tensor, weights[name]):
                raise ValueError(f"{name} is expanded, one number for many, and cannot hold others")


def stored_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers that a state dict has, by name: themselves, where a state dict may have copies."""
    own = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    passing = {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules(remove_duplicate=False)
        for name in module._non_persistent_buffers_set
    }
    return {name: tensor.detach() for name, tensor in own.items() if name not in passing}


def sha256_of(model: nn.Module) -> str:
    """Return a hash of all parameters and buffers of a network."""
    content = hashlib.sha256()
    for name, tensor in stored_tensors(model).items():
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return content.hexdigest()


def same(weights: Weights, others: Weights) -> bool:
    """Whether weights have the same values, asking the device once; torch's own count of writes misses those of `.data`."""
    different = [(weights[name] != other).any() for name, other in others.items()]
    return not different or not bool(torch.stack(different).any())


def same_values(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are the same to the last bit, wherever they are."""
    return first.shape == second.shape and torch.equal(first, second.to(first.device))


def difference(own: Weights, others: Weights) -> str:
    """Return in what the names and shapes of others are not those of a network's own; nothing where they are the same."""
    missing, unknown = [n for n in own if n not in others], [n for n in others if n not in own]
    shapes = [
        f"{name} is {tuple(others[name].shape)} and not {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in others and tensor.shape != others[name].shape
    ]
    guesses = {name: get_close_matches(name, missing, n=1, cutoff=0.6) for name in unknown[:3]}
    told = [f"{name} (did you mean {guess[0]}?)" if (guess := guesses.get(name)) else name for name in unknown]
    parts = (("missing", missing), ("unknown", told), ("of another shape", shapes))
    return "; ".join(f"{len(names)} {what}: {_first(names)}" for what, names in parts if names)


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
