"""Torch's global state: what a plugin's code could change for everybody else, seen and put back."""

from __future__ import annotations

import os
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


def _autocast() -> tuple[Any, ...]:
    kinds = ("cpu", "cuda")
    return (
        *(torch.is_autocast_enabled(kind) for kind in kinds),
        *(torch.get_autocast_dtype(kind) for kind in kinds),
        torch.is_autocast_cache_enabled(),
    )


def _set_autocast(value: tuple[Any, ...]) -> None:
    for kind, enabled, dtype in zip(("cpu", "cuda"), value[:2], value[2:4], strict=True):
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)
    torch.set_autocast_cache_enabled(value[4])


_HOOKS = [
    value
    for name, value in vars(torch.nn.modules.module).items()
    if name.startswith("_global") and isinstance(value, dict)
]


def _hooks() -> list[dict[Any, Any]]:
    return [dict(hooks) for hooks in _HOOKS]


def _set_hooks(value: list[dict[Any, Any]]) -> None:
    for hooks, were in zip(_HOOKS, value, strict=True):
        hooks.clear()
        hooks.update(were)


def _put_back_functions(value: dict[str, Any]) -> None:
    now = vars(torch.nn.functional)
    now.clear()
    now.update(value)


def _leave_modes(count: int) -> None:
    while torch._C._len_torch_function_stack() > count:
        torch._C._pop_torch_function_stack()


_ENTERED: list[Any] = []


def _set_inference(value: bool) -> None:
    _ENTERED.append(torch._C._InferenceMode(value))  # it lasts as long as this object


_PRECISE = [(kind, of) for kind in ("mkldnn", "cuda") for of in ("all", "conv", "matmul", "rnn")]
_HAS_PRECISIONS = hasattr(torch._C, "_get_fp32_precision_getter")  # torch 2.9


def _precisions() -> list[str]:
    return [torch._C._get_fp32_precision_getter(*each) for each in _PRECISE] if _HAS_PRECISIONS else []


def _set_precisions(value: list[str]) -> None:
    for each, precision in zip(_PRECISE, value, strict=_HAS_PRECISIONS):
        torch._C._set_fp32_precision_setter(*each, precision)


def _precision() -> str | None:
    try:
        return torch._C._get_float32_matmul_precision()
    except RuntimeError:  # the newer switches contradict it, which are put back first
        return None


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (this is called twice at every draw)
    except OSError:
        return None


def _go_back(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


# torch's own C functions where there are any: all of these are read twice at every draw (14 µs by the public names)
_SWITCHES: dict[str, Switch] = {
    "the working directory": (_folder, _go_back),
    "the default type": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (lambda: _device.CURRENT_DEVICE, torch.set_default_device),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic mode": (_deterministic, _set_deterministic),
    "whether gradients are recorded": (torch.is_grad_enabled, torch.set_grad_enabled),
    "oneDNN": (torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
    "the precisions of float32": (_precisions, _set_precisions),
    "the precision of products": (_precision, torch._C._set_float32_matmul_precision),
    "autocast": (_autocast, _set_autocast),
    "hooks on all modules": (_hooks, _set_hooks),
    "torch.nn.functional": (lambda: dict(vars(torch.nn.functional)), _put_back_functions),
    "the modes of torch's functions": (torch._C._len_torch_function_stack, _leave_modes),
    "inference mode": (torch.is_inference_mode_enabled, _set_inference),
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
