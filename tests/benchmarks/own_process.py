"""Work in a process of its own, and the most memory that process ever had."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any


def peak() -> float:
    """Return the most memory that this process has had, in MiB; Linux only. `getrusage` would tell the parent's too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024


def _work(work: Callable[..., Any], arguments: tuple[Any, ...], results: multiprocessing.Queue[Any]) -> None:
    try:
        results.put(work(*arguments))
    except BaseException as error:
        results.put(error)
        raise


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `work` returns in a new process."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[Any] = context.Queue()
    process = context.Process(target=_work, args=(work, arguments, results))
    process.start()
    found = results.get(timeout=600)
    process.join()
    if isinstance(found, BaseException):
        raise found
    return found
