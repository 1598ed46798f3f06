"""The doctor: whether an installation can do its work."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch

from nrbench.base.component import Finding
from nrbench.families.registry import Registry, load_registry
from nrbench.jobs.plan import Options
from nrbench.suite.recipe import computes_in_bfloat16
from nrbench.suite.shipped import shipped_suites


def examined() -> Iterator[Finding]:
    """Yield every finding: of this process, of each plugin, and of each component that has something to say."""
    for what, look in _CHECKS.items():
        yield from _found(what, partial(_looked_at, what, look))
    registry = load_registry()
    yield from _plugins(registry)
    for entry in registry.entries:
        yield from _found(entry.name, entry.component.check)


def _looked_at(what: str, look: Callable[[], str]) -> list[Finding]:
    return [Finding(what, True, look())]


def _plugins(registry: Registry) -> Iterator[Finding]:
    for plugin in registry.plugins:
        found = plugin.error or f"{plugin.distribution} {plugin.version}"
        yield Finding(f"plugin {plugin.name}", not plugin.error, found)


def _found(what: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield findings; what is raised is one that is not ok, with the first line of the error."""
    try:
        yield from look()
    except Exception as error:
        yield Finding(what, False, f"{type(error).__name__}: {error}".partition("\n")[0])


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
    "device": _device,
    "bfloat16": _bfloat16,
    "data directory": lambda: str(Options().data_root),
    "suites": lambda: ", ".join(shipped_suites()),
}
