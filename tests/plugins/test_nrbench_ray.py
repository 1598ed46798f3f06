from __future__ import annotations

from pathlib import Path

from nrbench import Failure, MissingError
from nrbench_ray import Ray
from nrbench_ray.executor import _attempt_alike, _versions

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
LISTENS = "0A"


def reachable(_: int = 0) -> set[str]:
    """The sockets of this machine that listen to others than itself, as the kernel tells it."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == LISTENS and local.partition(":")[0] not in LOOPBACK:
                found.add(local)
    return found


def test_a_local_cluster_listens_to_this_machine_alone() -> None:
    """While tasks run on a cluster that was started here, no socket can be reached from elsewhere that could not before."""
    before = reachable()
    (outcome,) = Ray(jobs=1).map(reachable, [0])
    assert not isinstance(outcome.result, Failure)
    assert outcome.result <= before


def test_a_worker_with_other_versions_is_refused() -> None:
    """The failure names what differs, and is one that ends the run instead of blaming the cell."""
    assert _attempt_alike((str, _versions()), 3) == "3"
    failure = _attempt_alike((str, _versions() | {"torch": "0.1", "stranger": "2.0"}), 3)
    assert isinstance(failure, Failure)
    assert isinstance(failure.refusal, MissingError)
    assert "instead of 0.1" in failure.message
    assert "stranger missing instead of 2.0" in failure.message
