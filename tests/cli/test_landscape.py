"""`nrbench landscape`: the loss around judged weights, measured once and stored with the epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

import nrbench as package
from nrbench.jobs import job
from tests.conftest import TINY, Finished

Command = Callable[..., Finished]
Write = Callable[..., Path]


@pytest.fixture
def judged(nrbench: Command, write_suite: Write, tmp_path: Path) -> tuple[Path, Path, list[str]]:
    path, out = write_suite(), tmp_path / "out"
    assert nrbench("run", path, "-o", out, "-q").code == 0
    board = package.load(out / "tiny")
    return path, out, [board[method, "Gaussian 0.3", "chosen"][0].cells[0] for method in ("SGD", "RWP")]


def test_it_is_drawn_of_the_epoch_that_was_chosen_and_measured_once(
    nrbench: Command, judged: tuple[Path, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its middle is the loss of the cell's own weights; the same command again measures nothing, and trainings stay as they were."""
    path, out, cells = judged
    arguments = ["landscape", path, "-o", out, *(part for cell in cells for part in ("--cell", cell[:12]))]
    arguments += ["--points", "3", "--images", "20", "--noise", "Gaussian 0.3", "-j", "1"]
    before = {file: file.read_bytes() for file in out.glob("store/trainings/*/epochs/*")}
    done = nrbench(*arguments)
    assert done.code == 0, done.err
    (picture,) = (out / "tiny" / "landscapes").glob("*.svg")
    assert f"Written to {picture}" in done.out
    lines = list(csv.DictReader(io.StringIO(picture.with_suffix(".csv").read_text())))
    assert len(lines) == 2 * (9 + 2)
    monkeypatch.setattr(job, "measure", lambda *_: pytest.fail("it was measured again"))
    again = picture.read_bytes()
    assert nrbench(*arguments).code == 0
    assert picture.read_bytes() == again
    assert {file: file.read_bytes() for file in out.glob("store/trainings/*/epochs/*")} == before


def test_a_line(nrbench: Command, judged: tuple[Path, Path, list[str]]) -> None:
    """Along one direction there are as many places as points."""
    path, out, cells = judged
    arguments = (
        "landscape",
        path,
        "-o",
        out,
        "--cell",
        cells[0],
        "--points",
        "5",
        "--images",
        "20",
        "--line",
        "-j",
        "1",
    )
    assert nrbench(*arguments).code == 0
    (numbers,) = (out / "tiny" / "landscapes").glob("*.csv")
    assert len(numbers.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cell", "zz"], "0 cells of tiny have a key that begins with 'zz'"),
        (["--cell", ""], "24 cells of tiny have a key that begins with ''"),
        (["--noise", "none such"], "no noise model of tiny is labelled 'none such'"),
        ([], "Missing option '--cell'"),
    ],
)
def test_what_cannot_be_asked_for(
    nrbench: Command, judged: tuple[Path, Path, list[str]], arguments: list[str], message: str
) -> None:
    """A cell or noise model that is not there is refused."""
    path, out, cells = judged
    given = [*arguments, "--cell", cells[0]] if "--noise" in arguments else arguments
    done = nrbench("landscape", path, "-o", out, *given)
    assert done.code == 2
    assert message in done.err


def test_a_cell_without_weights(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """Of a cell that has not been judged there is nothing to be drawn, and it is said."""
    path = write_suite(TINY)
    (first, *_) = package.load_suite(path, package.load_registry()).cells()
    done = nrbench("landscape", path, "-o", tmp_path / "none", "--cell", first.key)
    assert done.code == 2
    assert "has no weights: it was not judged" in done.err
