"""The doctor: whether an installation can do its work."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from nrbench.recipe import computes_in_bfloat16
from nrbench.registry import load_registry
from nrbench.runner import Options
from nrbench.suite import shipped_suites


@dataclass(frozen=True)
class Check:
    """Something that was looked at."""

    what: str
    ok: bool
    found: str


def examined() -> Iterator[Check]:
    """Yield every check, failed ones with the first line of their error."""
    for what, look in _CHECKS.items():
        try:
            yield Check(what, True, look())
        except Exception as error:
            yield Check(what, False, f"{type(error).__name__}: {error}".partition("\n")[0])
    for plugin in load_registry().plugins:
        found = plugin.error or f"{plugin.distribution} {plugin.version}"
        yield Check(f"plugin {plugin.name}", not plugin.error, found)


def _torchvision() -> str:
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)  # fails when torch and torchvision are no pair
    return str(torchvision.__version__)


def _timm() -> str:
    import timm

    return str(timm.__version__)


def _bfloat16() -> str:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return f"{'in hardware' if computes_in_bfloat16(device) else 'no: precision auto means float32'} ({device})"


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"cpu, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"


_CHECKS: dict[str, Callable[[], str]] = {
    "Python": platform.python_version,
    "torch": lambda: str(torch.__version__),
    "torchvision": _torchvision,
    "timm": _timm,
    "device": _device,
    "bfloat16": _bfloat16,
    "data directory": lambda: str(Options().data_root),
    "suites": lambda: ", ".join(shipped_suites()),
}
