"""Devices: what is computed on, and how torch is set up for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from nrbench.base.errors import MissingError
from nrbench.jobs.results import Environment
from nrbench.suite.recipe import Recipe


@contextmanager
def computing(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Set torch up for a recipe, and back afterwards: threads, deterministic algorithms, precision, a spare generator."""
    threads, deterministic = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    cudnn, matmul, tf32 = torch.backends.cudnn, torch.backends.cuda.matmul, recipe.precision == "tf32"
    before = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.set_num_threads(recipe.threads)
        torch.set_deterministic_debug_mode("warn")
        if recipe.compile:  # tells the compiler too, and imports it: 1.4 s
            torch.use_deterministic_algorithms(True, warn_only=True)
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = False, tf32, tf32
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(deterministic)
            cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before


class autocast:  # noqa: N801  (it reads as the function it stands for)
    """The recipe's precision, as a callable that returns a context."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self._bfloat16 = recipe.precision == "bfloat16"
        self._device = device.type

    def __call__(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device, torch.bfloat16) if self._bfloat16 else nullcontext()


def find_device(name: str) -> torch.device:
    """Return a device by its name, `auto` being a GPU where there is one; raise `MissingError` if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise MissingError(f"{name!r} is no device; there are auto, cpu, cuda and cuda:<number>") from error
    if device.type not in ("cpu", "cuda"):
        raise MissingError(f"nrbench does not compute on {name!r}; there are auto, cpu, cuda and cuda:<number>")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MissingError(f"there is no device {name}: torch sees {torch.cuda.device_count()} GPUs")
    return device


@lru_cache
def environment(device: torch.device) -> Environment:
    """Return the environment of this process for a device."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        capability = "{}.{}".format(*torch.cuda.get_device_capability(device))
    else:
        name, capability = device.type, torch.backends.cpu.get_cpu_capability()
    return Environment(
        nrbench=version("nrbench"),
        torch=str(torch.__version__),
        numpy=np.__version__,
        device=name,
        capability=capability,
    )


def gpu_workers(name: str, per_device: int) -> int | None:
    """Return how many workers there is room for on the GPUs, None when a device is no GPU."""
    return torch.cuda.device_count() * per_device if find_device(name).type == "cuda" else None
