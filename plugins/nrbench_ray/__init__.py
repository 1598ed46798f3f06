"""The Ray executor: jobs on this machine's cores or on a cluster, through Ray's own scheduler."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_ray.executor import Ray

__all__ = ["Ray", "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The executor of this package; it needs the extra `ray` only when it is used."""
    return [Ray]
