"""Cleaning: what a store holds is told by kind, and what no suite needs goes only if somebody asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import nrbench as package
from nrbench.jobs.lock import held
from tests.conftest import Finished

Command = Callable[..., Finished]
Write = Callable[..., Path]


@pytest.fixture
def results(nrbench: Command, write_suite: Write, tmp_path: Path) -> Path:
    """The results of a suite, and of the same with another method under another name."""
    out = tmp_path / "results"
    assert nrbench("run", write_suite(), "-o", out).code == 0
    more = ("--set", "name=more", "--set", "methods.RWP.sigma=0.2")
    assert nrbench("run", write_suite(), "-o", out, *more).code == 0
    return out


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_nothing_goes_by_default(results: Path, nrbench: Command) -> None:
    """What is held is counted by kind, with sizes that are those of the files, and not one file changes."""
    before = files(results)
    done = nrbench("clean", "--results", results, "--json")
    assert done.code == 0
    found = {each["kind"]: each for each in json.loads(done.out)["held"]}
    assert {kind: each["number"] for kind, each in found.items()} == {"cells": 36, "trainings": 6}
    cells = [path.stat().st_size for path in results.glob("store/cells/??/*.json")]
    assert found["cells"]["bytes"] == sum(cells)
    assert json.loads(done.out)["unneeded"] == []
    assert "Nothing was removed" not in nrbench("clean", "--results", results).err
    assert files(results) == before


def test_what_no_suite_needs_goes_if_asked(results: Path, nrbench: Command, tmp_path: Path) -> None:
    """With one of two suites given, the other's own cells and trainings go, what both need stays, and no number changes."""
    before = (results / "tiny" / "leaderboard.json").read_bytes()
    asked = nrbench("clean", results / "tiny", "--results", results)
    assert "Nothing was removed" in asked.err
    done = nrbench("clean", results / "tiny", "--results", results, "--remove", "--json")
    assert done.code == 0
    unneeded = {each["kind"]: each["number"] for each in json.loads(done.out)["unneeded"]}
    assert unneeded == {"cells": 12, "trainings": 2}
    assert len(package.Store(results / "store").judged()) == 24
    assert len(list(results.glob("store/trainings/*"))) == 4
    assert nrbench("report", results / "tiny").code == 0
    assert (results / "tiny" / "leaderboard.json").read_bytes() == before
    again = json.loads(nrbench("clean", results / "tiny", "--results", results, "--json").out)
    assert again["unneeded"] == []


def test_what_a_process_is_at_stays(results: Path, nrbench: Command) -> None:
    """A training whose lock is held is needed, whoever asks."""
    trainings = {path.name for path in results.glob("store/trainings/*")}
    with held(next(path for path in results.glob("store/trainings/*")), wait=False):
        for folder in list(results.glob("*/suite.lock.json")):
            folder.unlink()
        done = nrbench("clean", "--results", results, "--remove")
        assert done.code == 2
        assert "everything would go" in done.err
        done = nrbench("clean", "quickstart", "--results", results, "--remove")
        assert done.code == 0
    assert len({path.name for path in results.glob("store/trainings/*")} & trainings) == 1


def test_damaged_files_go_and_links_are_not_followed(results: Path, nrbench: Command, tmp_path: Path) -> None:
    """What was set aside is never needed; a link in the store is left as it is, and so is what it leads to."""
    (results / "store" / "cells" / "ab").mkdir(exist_ok=True)
    damaged = results / "store" / "cells" / "ab" / f"{'ab' * 16}.json.damaged"
    damaged.write_text("x")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "record.json").write_text("mine")
    (results / "store" / "trainings" / ("0" * 32)).symlink_to(precious)
    (results / "store" / "cells" / "ab" / f"{'cd' * 16}.json").symlink_to(precious / "record.json")
    assert nrbench("clean", "--results", results, "--remove").code == 0
    assert not damaged.exists()
    assert (precious / "record.json").read_text() == "mine"
    assert (results / "store" / "trainings" / ("0" * 32)).is_symlink()


def test_a_store_behind_a_link_is_left_alone(results: Path, nrbench: Command, tmp_path: Path) -> None:
    """Directories of a store that are links lead to somebody else's: nothing there is counted or removed."""
    linked = tmp_path / "linked"
    (linked / "store").mkdir(parents=True)
    for part in ("cells", "trainings"):
        (linked / "store" / part).symlink_to(results / "store" / part)
    (linked / "tiny").mkdir()
    (linked / "tiny" / "suite.lock.json").write_bytes((results / "tiny" / "suite.lock.json").read_bytes())
    before = files(results)
    assert nrbench("clean", "--results", linked, "--remove").code == 0
    assert files(results) == before


def test_what_a_board_that_was_kept_aside_needs_stays(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """The cells of an earlier form of a suite, whose board is beside the new one, are needed, unless other suites are given."""
    out = tmp_path / "results"
    assert nrbench("run", write_suite(), "-o", out, "--set", "methods.SAM={name: sam, rho: 0.05}").code == 0
    assert nrbench("run", write_suite(), "-o", out).code == 0
    assert json.loads(nrbench("clean", "--results", out, "--json").out)["unneeded"] == []
    assert json.loads(nrbench("clean", out / "tiny", "--results", out, "--json").out)["unneeded"] == []


def test_a_suite_given_by_its_file_keeps_what_was_run_of_it(
    nrbench: Command, write_suite: Write, tmp_path: Path
) -> None:
    """With other settings, or on a machine with another precision, its cells have other keys: those that were run stay."""
    out = tmp_path / "results"
    assert nrbench("run", write_suite(), "-o", out, "--set", "seeds=3").code == 0
    found = json.loads(nrbench("clean", write_suite(), "--results", out, "--json").out)
    assert found["unneeded"] == []
