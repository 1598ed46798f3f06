"""Executors: where jobs run."""

from __future__ import annotations

import os
import traceback
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import Generic, Literal, TypeVar

from nrbench.base.component import Component
from nrbench.base.errors import LONGEST, DataError, MissingError, NrbenchError, StoreError, told

Item = TypeVar("Item")
Value = TypeVar("Value")

FailureKind = Literal["error", "out_of_memory", "timeout", "killed"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item has no value."""

    kind: FailureKind
    message: str
    traceback: str = ""
    exit_code: int | None = None
    """How its process ended, where it died: minus the number of the signal that killed it."""
    refusal: NrbenchError | None = None
    """The error, if it is not the item's own but would meet every other item too: a full disk, missing data."""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception; running out of memory is told apart."""
        message = told(error)
        hungry = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        kind: FailureKind = "out_of_memory" if hungry or "DefaultCPUAllocator" in message else "error"
        refusal = error if isinstance(error, StoreError | DataError | MissingError) else None
        try:
            trace = "".join(traceback.format_exception(error)).encode(errors="backslashreplace").decode()
        except BaseException:  # a SyntaxError with odd fields cannot be formatted
            trace = message
        trace = trace[-20 * LONGEST :]
        return cls(kind, message, trace, refusal=refusal)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Value]):
    """An item and what became of it."""

    item: Item
    result: Value | Failure


class Executor(Component, family="executors"):
    """Family: how work is spread; each item comes back exactly once, and one item never takes the others down."""

    @abstractmethod
    def map(self, work: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield an outcome for each item as it finishes; an exception of `work`, or its exit, becomes a `Failure`.

        `KeyboardInterrupt` passes through.
        """


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Serial(Executor):
    """One item after the other, in this process."""

    name: Literal["serial"] = "serial"

    def map(self, work: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        for item in items:
            yield Outcome(item, attempt(work, item))


def attempt(work: Callable[[Item], Value], item: Item) -> Value | Failure:
    """Return the value of an item, or the failure that whatever it raises amounts to.

    A `KeyboardInterrupt` passes through in the main process, where it is a person's; in a worker it is the component's.
    """
    try:
        return work(item)
    except BaseException as error:  # an exit, or an exception of a plugin's own that is no Exception
        if isinstance(error, KeyboardInterrupt) and parent_process() is None:
            raise
        return Failure.of(error)
