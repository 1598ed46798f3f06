"""What a command was given, turned into what it works on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import nrbench
from nrbench import jobs, suite
from nrbench.base.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from nrbench.families.executor import Executor
    from nrbench.families.watcher import Watcher
    from nrbench.suite.suite import Benchmark


def read_suite(name: str, settings: Sequence[str], *, data: Path | None = None) -> Benchmark:
    """Return the suite of a name or file with settings laid over it; with a directory of data its networks are tried."""
    return suite.load_suite(suite.find_suite(name), nrbench.load_registry(), settings=settings, data=data)


def asked_suite(name: str, settings: Sequence[str], device: str) -> Benchmark:
    """Return the same, made concrete for a device."""
    return read_suite(name, settings).for_device(jobs.find_device(device))


def asked_watchers(written: Sequence[str]) -> list[Watcher]:
    """Return the watchers that are asked for by names or maps."""
    registry = nrbench.load_registry()
    return [
        suite.read_component(nrbench.Watcher, suite.written_component(each, "--watch"), registry) for each in written
    ]


def asked_executor(written: str | None, **flags: Any) -> Executor:
    """Return the executor that is asked for by a name or a map, with the flags that were given as its fields.

    Without a name there are processes where there is room for more than one.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    node = suite.written_component(written or ("serial" if given == {"jobs": 1} else "processes"), "-x")
    name, registry = node.plain()["name"], nrbench.load_registry()
    component = registry.find(nrbench.Executor, name)
    if name == "serial" and given.get("jobs") == 1:
        del given["jobs"]
    for flag in given.keys() - component.model_fields.keys():
        raise UsageError(f"--{flag} means nothing to the executor {name!r}")
    executor: Executor = suite.read_component(nrbench.Executor, node, registry, over=given)
    return executor
