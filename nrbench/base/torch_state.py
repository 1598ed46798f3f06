"""Torch's global state: what a plugin's code could change for everybody else, seen and put back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

Switch = tuple[Callable[[], Any], Callable[[Any], object]]


def _attribute(owner: Any, name: str) -> Switch:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


_SWITCHES: dict[str, Switch] = {
    "the default type": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (torch.get_default_device, torch.set_default_device),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic mode": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "whether gradients are recorded": (torch.is_grad_enabled, torch.set_grad_enabled),
    "oneDNN": (torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
    "the precision of products": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "cuDNN": _attribute(torch.backends.cudnn, "enabled"),
    "cuDNN's search": _attribute(torch.backends.cudnn, "benchmark"),
    "TF32 in convolutions": _attribute(torch.backends.cudnn, "allow_tf32"),
    "TF32 in products": _attribute(torch.backends.cuda.matmul, "allow_tf32"),
}
"""What it is, and how it is read and set."""
_GENERATORS: dict[str, Switch] = {
    "torch's generator": (torch.random.get_rng_state, torch.random.set_rng_state),
    "NumPy's generator": (np.random.get_state, np.random.set_state),
    "Python's generator": (random.getstate, random.setstate),
}


@contextmanager
def unchanged(who: str, *, generators: bool = True) -> Iterator[None]:
    """Put torch's switches and global generators back to what they were; raise `ValueError` if `who` changed any.

    So that what one component does to them costs that component, and not the one beside it. Where torch's own layers may
    draw, in training, `generators` are left alone.
    """
    watched = _SWITCHES | _GENERATORS if generators else _SWITCHES
    before = {what: read() for what, (read, _) in watched.items()}
    try:
        yield
    finally:
        changed = [what for what, (read, _) in watched.items() if not _same(read(), before[what])]
        for what in changed:
            watched[what][1](before[what])
    if changed:
        raise ValueError(f"{who} changed {', '.join(changed)} for everybody; a component draws from its chance alone")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, tuple) and any(isinstance(each, np.ndarray) for each in one):
        return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
