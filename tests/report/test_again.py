"""A second report is what the first was, without making it, and only where nothing behind it has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import nrbench as package
from nrbench import Store
from nrbench.report.again import _sources
from tests.conftest import TINY, Finished

Command = Callable[..., Finished]
Write = Callable[..., Path]


@pytest.fixture
def finished(nrbench: Command, write_suite: Write, tmp_path: Path) -> Path:
    assert nrbench("run", write_suite(TINY), "-o", tmp_path / "out", "-q").code == 0
    return tmp_path / "out" / "tiny"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with every leaderboard that is computed."""
    counted: list[int] = []
    whole = package.Leaderboard.of

    def of(*given: object) -> object:
        counted.append(1)
        return whole(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(package.Leaderboard, "of", of)
    return counted


def test_nothing_is_made_again(nrbench: Command, finished: Path, made: list[int]) -> None:
    """The second report prints the same, writes nothing and computes nothing, and says the same as JSON."""
    first = nrbench("report", finished)
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    again = nrbench("report", finished)
    assert (again.out, again.code, len(made)) == (first.out, first.code, 1)
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before
    assert nrbench("report", finished, "--json").out.encode() == (finished / "leaderboard.json").read_bytes()
    assert len(made) == 1


def test_another_terminal_is_another_screen(
    nrbench: Command, finished: Path, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At another width it is printed anew, once, and each width keeps its own."""
    narrow = nrbench("report", finished).out
    monkeypatch.setenv("COLUMNS", "140")
    wide = nrbench("report", finished).out
    assert wide != narrow
    assert nrbench("report", finished).out == wide
    monkeypatch.delenv("COLUMNS")
    assert nrbench("report", finished).out == narrow
    assert len(made) == 2


def test_what_has_changed_is_made_again(nrbench: Command, finished: Path, made: list[int]) -> None:
    """A result that is another or gone, a file of the report that is gone or edited, and another suite, each once."""
    store = Store(finished.parent / "store")
    nrbench("report", finished)
    (finished / "leaderboard.md").unlink()
    nrbench("report", finished)
    assert (finished / "leaderboard.md").exists()
    (finished / "leaderboard.csv").write_text("edited")
    nrbench("report", finished)
    assert "edited" not in (finished / "leaderboard.csv").read_text()
    assert len(made) == 3
    row = json.loads((finished / "leaderboard.json").read_text())["rows"][0]
    store.discard(row["cells"][0])
    done = nrbench("report", finished)
    assert (done.code, len(made)) == (1, 4)
    assert "some cells have no result" in done.out
    assert nrbench("report", finished).code == 1
    assert len(made) == 4
    lock = finished / "suite.lock.json"
    lock.write_text(lock.read_text().replace("Gaussian 0.1", "Gaussian a tenth"))
    assert "a tenth" in nrbench("report", finished).out.replace("\n", " ").replace("…", "a tenth")
    assert len(made) == 5


def test_a_cache_that_cannot_be_used_is_no_reason(
    nrbench: Command, finished: Path, made: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a directory for it, or with rubbish in it, a report is made every time."""
    first = nrbench("report", finished).out
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert nrbench("report", finished).out == nrbench("report", finished).out == first
    assert len(made) == 3
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    nrbench("report", finished)
    (kept,) = (tmp_path / "cache" / "nrbench" / "reports").glob("*.json")
    kept.write_text("{}")
    assert nrbench("report", finished).out == first
    assert len(made) == 5


def test_code_is_among_what_is_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files of a plugin's package count, and that of a module that stands alone."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "whole_package").mkdir()
    for name in ("whole_package/__init__.py", "whole_package/other.py", "alone_module.py"):
        (tmp_path / name).write_text("")
    for name in ("whole_package", "alone_module"):
        __import__(name)
    assert [path.name for path in _sources("whole_package")] == ["__init__.py", "other.py"]
    assert [path.name for path in _sources("alone_module")] == ["alone_module.py"]
    assert {path.name for path in _sources("nrbench")} > {"again.py", "page.css"}
