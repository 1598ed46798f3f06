"""Worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, Literal

from pebble import ProcessExpired, ProcessPool
from pydantic import Field

from nrbench.families.executor import Executor, Failure, Item, Outcome, Value, attempt, cores


class Processes(Executor):
    """Worker processes on this machine; one that dies or is too slow costs the item it worked on and no other."""

    name: Literal["processes"] = "processes"

    jobs: int = Field(default_factory=cores, ge=1)
    """Workers; by default as many as there are cores."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds that an item may take, from where its own work begins: a worker's start and its imports do not count."""
    retries: int = Field(default=2, ge=0)
    """How often an item is tried again whose worker was killed from outside (SIGKILL, SIGTERM)."""

    def map(self, work: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        waiting = deque((item, 0) for item in items)
        if not waiting:
            return
        with _environment(_WORKERS):
            # a pool for each number, so that a worker which takes over from a dead one has its number and its GPU
            numbers = range(min(self.jobs, len(waiting)))
            pools = [ProcessPool(1, initializer=_begin, initargs=(number,), context=_Context()) for number in numbers]
            try:
                yield from self._outcomes(pools, work, waiting)
                for pool in pools:
                    pool.close()  # type: ignore[no-untyped-call]
            except BaseException:
                for pool in pools:
                    pool.stop()  # type: ignore[no-untyped-call]
                raise
            finally:
                for pool in pools:
                    pool.join()

    def _outcomes(
        self, pools: Iterable[ProcessPool], work: Callable[[Item], Value], waiting: deque[tuple[Item, int]]
    ) -> Iterator[Outcome[Item, Value]]:
        free = list(pools)
        ready: dict[Future[Failure | None], tuple[Item, int, ProcessPool, bytes]] = {}
        running: dict[Future[Value | Failure], tuple[Item, int, ProcessPool]] = {}
        while waiting or ready or running:
            while waiting and free:
                item, tries = waiting.popleft()
                try:
                    sent = bytes(ForkingPickler.dumps((work, item)))
                except Exception as error:
                    yield Outcome(item, Failure.of(error))
                    continue
                pool = free.pop()
                ready[pool.schedule(_unpacked, (sent,))] = item, tries, pool, sent
            pending: list[Future[Any]] = [*ready, *running]
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                if future in ready and self._result(future) is None:
                    item, tries, pool, sent = ready.pop(future)
                    running[pool.schedule(_attempt_sent, (sent,), timeout=self.timeout)] = item, tries, pool
                    continue
                item, tries, pool = ready.pop(future)[:3] if future in ready else running.pop(future)
                free.append(pool)
                result = self._result(future)
                if isinstance(result, Failure) and result.exit_code in _FROM_OUTSIDE and tries < self.retries:
                    waiting.append((item, tries + 1))
                else:
                    yield Outcome(item, result)

    def _result(self, future: Future[Value | Failure]) -> Value | Failure:
        try:
            return future.result()
        except TimeoutError:
            return Failure("timeout", f"it took more than {self.timeout:g} s")
        except ProcessExpired as death:
            return Failure("killed", _death(death.exitcode), exit_code=death.exitcode)
        except BrokenExecutor:
            return Failure("killed", "no worker could be started")
        except Exception as error:  # the result could not be sent between processes
            return Failure.of(error)


def _death(code: int) -> str:
    return f"its process was ended by signal {-code}" if code < 0 else f"its process ended with exit code {code % 256}"


_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM}
"""Deaths that are nobody's fault: the machine was short of memory, or is being shut down."""


WORKER = "NRBENCH_WORKER"
"""The environment variable that tells a worker its number 0, 1, …; two at once have different ones."""


class _Worker(SpawnProcess):
    """A process whose exit code 0 is told as 256: the pool takes 0 for a farewell, and its item would wait for ever."""

    @property
    def exitcode(self) -> int | None:
        code = super().exitcode
        return 256 if code == 0 else code


class _Context(SpawnContext):
    Process = _Worker


# Freed memory is kept for the next batch instead of being handed back and faulted in again: a float32 evaluation at
# batch 1,000 takes 221 µs an image instead of 703. glibc reads these when a process starts.
_WORKERS = {
    "OMP_NUM_THREADS": "1",  # of other libraries; torch takes the number that the recipe says
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, where they are not set already, for the processes that are started meanwhile."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _unpacked(sent: bytes) -> Failure | None:
    """Unpack work and item in the worker, which imports all that they need; return why that failed, which is theirs."""
    try:
        ForkingPickler.loads(sent)
    except (Exception, SystemExit) as error:
        return Failure.of(error)
    return None


def _attempt_sent(sent: bytes) -> Any:
    """Attempt an item, which this worker has unpacked before."""
    return attempt(*ForkingPickler.loads(sent))


def _begin(number: int) -> None:
    """Begin as the worker of a number, and end when the process that started it is gone, however it went."""
    os.environ[WORKER] = str(number)
    parent = multiprocessing.parent_process()

    def stay() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=stay, daemon=True).start()
