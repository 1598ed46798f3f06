"""Jobs as Ray tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import distributions, version
from importlib.util import find_spec
from typing import Any, Literal, TypeVar

from pydantic import Field

from nrbench import Executor, Failure, Finding, MissingError, Outcome, attempt

Item = TypeVar("Item")
Value = TypeVar("Value")


class Ray(Executor):
    """Ray tasks, retried when their worker dies; without an address a cluster of this machine alone is started.

    A store on a directory that all machines share is used as it is. Otherwise results travel back and are stored where the
    run was started, while the weights of a training stay on the machine that trained it.
    """

    name: Literal["ray"] = "ray"

    address: str | None = None
    """The cluster to join, such as "auto" or "ray://host:10001"."""
    jobs: int | None = Field(default=None, ge=1)
    """Tasks at a time on this machine, when no cluster is joined; by default as many as there are cores."""
    cpus: float = Field(default=1, gt=0)
    """Cores that a task asks for; the recipe's threads should not be more."""
    gpus: float = Field(default=0, ge=0)
    """GPUs that a task asks for; a fraction lets several share one."""
    retries: int = Field(default=2, ge=0)
    """How often a task is tried again whose worker or machine died; an exception is never tried again."""

    @classmethod
    def check(cls) -> Iterator[Finding]:
        yield Finding("ray", True, version("ray") if find_spec("ray") else "not installed: the extra is nrbench[ray]")

    def map(self, work: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        ray = _ray(local=self.address is None)
        self._start(ray)
        try:
            options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_retries": self.retries}
            remote = ray.remote(_attempt_alike).options(**options)
            shared = ray.put((work, _versions()))
            waiting = iter(items)
            running: dict[Any, Item] = {}
            limit = 2 * max(1, int(ray.cluster_resources().get("CPU", 1) / self.cpus))
            while True:
                for item in waiting:
                    running[remote.remote(shared, item)] = item
                    if len(running) >= limit:
                        break
                if not running:
                    return
                (done, *_), _ = ray.wait(list(running))
                yield Outcome(running.pop(done), _result(ray, done))
        finally:
            ray.shutdown()

    def _start(self, ray: Any) -> None:
        if self.address is not None:
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
            return
        ray.init(
            num_cpus=self.jobs or os.cpu_count(),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            log_to_driver=False,
            logging_level="ERROR",
        )


def _ray(*, local: bool) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if local:  # read at import; without it Ray replaces the loopback address by one that others can reach
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingError("the executor 'ray' needs the extra: pip install 'nrbench[ray]'") from error
    return ray


def _versions() -> dict[str, str]:
    """Return the versions that a result depends on, and those of every plugin."""
    plugins = {d.name: d.version for d in distributions() if d.entry_points.select(group="nrbench")}
    return plugins | {name: version(name) for name in ("nrbench", "torch", "numpy")}


def _attempt_alike(shared: tuple[Callable[[Item], Value], dict[str, str]], item: Item) -> Value | Failure:
    """Attempt an item if this worker has the versions of the process that started the run."""
    work, expected = shared
    here = _versions()
    if here != expected:
        names = sorted(name for name in here.keys() | expected.keys() if here.get(name) != expected.get(name))
        told = ", ".join(
            f"{name} {here.get(name, 'missing')} instead of {expected.get(name, 'none')}" for name in names
        )
        return Failure.of(MissingError(f"a Ray worker on {os.uname().nodename} has {told}"))
    return attempt(work, item)


def _result(ray: Any, done: Any) -> Any:
    try:
        return ray.get(done)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
        return Failure("killed", f"its worker died: {type(error).__name__}")
    except ray.exceptions.OutOfMemoryError as error:
        return Failure("out_of_memory", str(error).partition("\n")[0])
    except Exception as error:  # the item or its result could not be sent
        return Failure.of(error)
