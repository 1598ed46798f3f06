"""Results of the second protocol: they are found, and make the same bytes, whatever has moved since."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nrbench
from nrbench import Options, load_registry, load_suite

KEPT = Path(__file__).parent / "kept"


def kept(then: Any, now: Any) -> Any:
    """What is in a document of the fields that there were then."""
    if isinstance(then, dict):
        return {key: kept(value, now[key]) for key, value in then.items()}
    return [*map(kept, then, now)] if isinstance(then, list) and len(then) == len(now) else now


def test_results_of_this_protocol_are_found_and_give_the_same_numbers(tmp_path: Path) -> None:
    """Not one epoch is trained and not one cell judged again, and every field of leaderboard.json is as it was written then."""
    shutil.copytree(KEPT / "store", tmp_path / "store")
    suite = load_suite(KEPT / "suite.yaml", load_registry())
    events = []
    board = nrbench.run(suite, options=Options(out=tmp_path), watch=events.append)
    assert events == []
    then, now = json.loads((KEPT / "leaderboard.json").read_bytes()), json.loads(board.json_bytes())
    assert kept(then, now) == then
    assert (
        len(list((tmp_path / "store" / "cells").glob("??/*.json")))
        == len(list((KEPT / "store").glob("cells/??/*.json")))
        == 32
    )


def test_weights_of_this_protocol_are_judged_further(tmp_path: Path) -> None:
    """Cells asked for later are judged on the epochs that were kept then, and nothing is trained."""
    shutil.copytree(KEPT / "store", tmp_path / "store")
    suite = load_suite(KEPT / "suite.yaml", load_registry(), settings=["noise.Laplace={name: laplace, b: 0.1}"])
    events = []
    board = nrbench.run(suite, options=Options(out=tmp_path), watch=events.append)
    assert {event.kind for event in events} == {"started", "finished"}
    assert {row.status for row in board.rows} == {"ok"}
