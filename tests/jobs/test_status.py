from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import nrbench
from nrbench import Options, Store, Suite
from nrbench.jobs.results import CellResult
from nrbench.jobs.status import status
from tests.conftest import TINY, Finished

Write = Callable[..., Path]


def test_the_status_of_a_run_that_is_going_on(
    write_suite: Write, tmp_path: Path, nrbench: Callable[..., Finished]
) -> None:
    """While another process runs it, done, running and remaining cells are counted, and the training named with its epoch."""
    path, out = write_suite(TINY.replace("epochs: 3", "epochs: 3000")), tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-m", "nrbench", "run", path, "-o", out, "-x", "serial", "-q"])
    try:
        while not list(out.rglob("epochs/1.safetensors")):
            time.sleep(0.05)
        found = json.loads(nrbench("status", path, "-o", out, "--json").out)
        assert (found["cells"], found["done"], found["remaining"]) == (24, 0, 24)
        (running,) = found["running"]
        assert running["name"] == "SGD, MLP, synthetic, seed 0"
        assert running["epoch"] >= 1
        assert running["holder"]["pid"] == process.pid
        assert "running" in nrbench("status", path, "-o", out).out
    finally:
        process.kill()
        process.wait()
    assert json.loads(nrbench("status", path, "-o", out, "--json").out)["running"] == []


def test_the_status_of_a_finished_run(tiny: Suite, tmp_path: Path) -> None:
    """Everything is done, and nothing is left to wait for."""
    nrbench.run(tiny, options=Options(out=tmp_path))
    found = status(tiny, Store(tmp_path / "store"), tmp_path / "tiny" / "run.log")
    assert (found.done, found.failed, found.remaining, found.running, found.seconds_left) == (24, 0, 0, (), 0.0)


def test_results_of_another_machine_are_taken_over(
    tiny: Suite, tmp_path: Path, write_suite: Write, nrbench: Callable[..., Finished]
) -> None:
    """Import brings cells and trainings, equal ones once; a result that differs is refused by name and not taken."""
    path = write_suite()
    for out, part in (("here", "SGD"), ("there", "RWP")):
        nrbench("run", path, "-o", tmp_path / out, "--only", part, "-q")
    first = json.loads(nrbench("import", tmp_path / "there", "-o", tmp_path / "here", "--json").out)
    assert first == {"new": 12, "same": 0, "different": [], "trainings": 2}
    assert json.loads(nrbench("plan", path, "-o", tmp_path / "here", "--json").out)["cells"] == 0
    more = nrbench("plan", path, "-o", tmp_path / "here", "--json", "--set", "noise.more={name: laplace}").out
    assert (json.loads(more)["trainings"], json.loads(more)["cells"]) == (0, 8)
    done = nrbench("run", path, "-o", tmp_path / "here", "--set", "noise.more={name: laplace}")
    assert "epoch" not in done.err, "imported trainings are judged, not trained again"
    second = json.loads(nrbench("import", tmp_path / "there", "-o", tmp_path / "here", "--json").out)
    assert second == {"new": 0, "same": 12, "different": [], "trainings": 0}
    store = Store(tmp_path / "there" / "store")
    cell = next(tiny.cells(only=["RWP"]))
    theirs = store.result(cell.key)
    assert isinstance(theirs, CellResult)
    store.discard(cell.key)
    store.put(cell.key, theirs.replace(clean_correct=1))
    third = nrbench("import", tmp_path / "there", "-o", tmp_path / "here")
    assert third.code == 5
    assert cell.key in third.err
    assert Store(tmp_path / "here" / "store").result(cell.key) == theirs


def test_two_results_of_one_cell_are_both_kept(tiny: Suite, tmp_path: Path) -> None:
    """Putting another result under a key is an error that names both files; the same again is nothing new."""
    nrbench.run(tiny, options=Options(out=tmp_path))
    store, cell = Store(tmp_path / "store"), next(tiny.cells())
    found = store.result(cell.key)
    assert isinstance(found, CellResult)
    store.put(cell.key, found)
    with pytest.raises(nrbench.StoreError, match="hold different results of one cell"):
        store.put(cell.key, found.replace(clean_correct=1))
    assert store.result(cell.key) == found
    assert len(list((tmp_path / "store" / "cells").rglob(f"{cell.key}.*.json"))) == 1
    shutil.rmtree(tmp_path / "store")
