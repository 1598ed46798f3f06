from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from nrbench import StoreError
from nrbench.jobs.lock import held, holder


def hold(folder: Path, started: Event) -> None:
    """Hold a lock until killed."""
    with held(folder, wait=False):
        started.set()
        time.sleep(60)


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    """While a process holds it others are refused with its number; when it is killed the lock is free at once."""
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    process = context.Process(target=hold, args=(tmp_path, started))
    process.start()
    assert started.wait(60)
    with (
        pytest.raises(StoreError, match=rf"in use by process {process.pid} on .* since 20"),
        held(tmp_path, wait=False),
    ):
        pass
    found = holder(tmp_path)
    assert found is not None
    assert found.pid == process.pid
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert holder(tmp_path) is None
    with held(tmp_path, wait=False):
        assert holder(tmp_path) is not None
    assert holder(tmp_path) is None
