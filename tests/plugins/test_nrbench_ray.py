from __future__ import annotations

from nrbench import Failure, MissingError
from nrbench_ray.executor import _attempt_alike, _versions


def test_a_worker_with_other_versions_is_refused() -> None:
    """The failure names what differs, and is one that ends the run instead of blaming the cell."""
    assert _attempt_alike((str, _versions()), 3) == "3"
    failure = _attempt_alike((str, _versions() | {"torch": "0.1", "stranger": "2.0"}), 3)
    assert isinstance(failure, Failure)
    assert isinstance(failure.refusal, MissingError)
    assert "instead of 0.1" in failure.message
    assert "stranger missing instead of 2.0" in failure.message
