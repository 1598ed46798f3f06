"""Torch's global state: what a plugin's code could change for everybody else, seen and put back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils import _device

Switch = tuple[Callable[[], Any], Callable[[Any], object]]


def _deterministic() -> tuple[bool, bool]:
    return torch._C._get_deterministic_algorithms(), torch._C._get_deterministic_algorithms_warn_only()


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch._C._set_deterministic_algorithms(value[0], warn_only=value[1])


# torch's own C functions where there are any: all of these are read twice at every draw (14 µs by the public names)
_SWITCHES: dict[str, Switch] = {
    "the default type": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (lambda: _device.CURRENT_DEVICE, torch.set_default_device),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic mode": (_deterministic, _set_deterministic),
    "whether gradients are recorded": (torch.is_grad_enabled, torch.set_grad_enabled),
    "oneDNN": (torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
    "the precision of products": (torch._C._get_float32_matmul_precision, torch._C._set_float32_matmul_precision),
    "cuDNN": (torch._C._get_cudnn_enabled, torch._C._set_cudnn_enabled),
    "cuDNN's search": (torch._C._get_cudnn_benchmark, torch._C._set_cudnn_benchmark),
    "TF32 in convolutions": (torch._C._get_cudnn_allow_tf32, torch._C._set_cudnn_allow_tf32),
    "TF32 in products": (torch._C._get_cublas_allow_tf32, torch._C._set_cublas_allow_tf32),
}
"""What it is, and how it is read and set."""
_READS = [read for read, _ in _SWITCHES.values()]


def generator_states() -> tuple[bytes, tuple[Any, ...], Any]:
    """Return the states of the global generators of torch (on the CPU), NumPy and Python, to be compared."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    assert isinstance(keys, np.ndarray)
    return bytes(torch.random.get_rng_state().numpy()), (kind, keys.tobytes(), *rest), random.getstate()


def put_back_generators(states: tuple[bytes, tuple[Any, ...], Any]) -> None:
    """Put the global generators back to where they were."""
    torch.random.set_rng_state(torch.frombuffer(bytearray(states[0]), dtype=torch.uint8))
    kind, keys, *rest = states[1]
    np.random.set_state((kind, np.frombuffer(keys, np.uint32), *rest))
    random.setstate(states[2])


@contextmanager
def unchanged(who: str, *, generators: bool = True) -> Iterator[None]:
    """Put torch's switches and global generators back to what they were; raise `ValueError` if `who` changed any.

    So that what one component does to them costs that component, and not the one beside it. Where torch's own layers may
    draw, in training, `generators` are left alone.
    """
    before = [read() for read in _READS]
    states = generator_states() if generators else None
    changed = []
    try:
        yield
    finally:
        if (now := [read() for read in _READS]) != before:
            for (what, (_, put_back)), was, is_now in zip(_SWITCHES.items(), before, now, strict=True):
                if was != is_now:
                    put_back(was)
                    changed.append(what)
        if states is not None and generator_states() != states:
            put_back_generators(states)
            changed.append("a global generator")
    if changed:
        raise ValueError(f"{who} changed {', '.join(changed)} for everybody; a component draws from its chance alone")
