"""What two leaderboards have in common, and whether stored weights still give the stored counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

import nrbench as package
from nrbench import DataError, Leaderboard, Options, Suite
from nrbench.board.comparison import compared
from nrbench.jobs.files import write_json
from tests.conftest import Finished

Command = Callable[..., Finished]


@pytest.fixture
def out(tiny: Suite, tmp_path: Path) -> Path:
    package.run(tiny, options=Options(out=tmp_path / "out"))
    return tmp_path / "out"


def test_a_board_against_itself(out: Path, nrbench: Command) -> None:
    """Every row is there with a difference of 0, nothing is resolved, and the gate lets it through."""
    done = nrbench("compare", out / "tiny", out / "tiny" / "leaderboard.json", "--fail-under", "0", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    assert len(found["changes"]) == 12
    assert {each["difference"] for each in found["changes"]} == {0.0}
    assert found["regressions"] == found["first_alone"] == found["second_alone"] == []
    assert "12 rows in common, 0 of them resolved" in nrbench("compare", out / "tiny", out / "tiny").out


def test_differences_are_paired_over_seeds(out: Path, nrbench: Command, tmp_path: Path) -> None:
    """A row that lost 10 and 12 points is 11 worse with Student's interval of the two, and ends at the gate with exit code 4."""
    board = nrbench_load(out)
    rows = list(board.rows)
    first, second = rows[0].by_seed
    assert first is not None
    assert second is not None
    rows[0] = rows[0].replace(by_seed=(first - 10, second - 12), accuracy=(first + second) / 2 - 11)
    rows[1] = rows[1].replace(status="error", accuracy=None, by_seed=(None, None))
    worse = board.model_copy(update={"rows": tuple(rows), "precision": "bfloat16"})
    found = compared(board, worse)
    assert found.changes[0].difference == pytest.approx(-11)
    assert found.changes[0].interval == pytest.approx(
        (-11 - 12.7062, -11 + 12.7062), abs=1e-3
    )  # t(1) = 12.706, s/√2 = 1
    assert (found.changes[1].second, found.changes[1].difference) == (None, None)
    assert found.differ_in == ("precision: float32 and bfloat16",)
    (tmp_path / "worse.json").write_bytes(worse.json_bytes())
    done = nrbench("compare", out / "tiny", tmp_path / "worse.json", "--fail-under", "1")
    assert done.code == 4  # its second row has no result
    assert "its result" in done.err
    assert [each.method for each in found.regressions(1)] == [rows[1].method]  # the first is not resolved


def nrbench_load(out: Path) -> Leaderboard:
    return package.load(out / "tiny")


@pytest.mark.parametrize(
    ("content", "code"), [(b"", 3), (b"{}", 3), (b'{"schema": 2}', 3), (b"[" * 10000, 3), (b"\xff", 3)]
)
def test_what_is_no_leaderboard(out: Path, nrbench: Command, tmp_path: Path, content: bytes, code: int) -> None:
    """A file of another kind, or of another schema, is named with what is wrong with it."""
    (tmp_path / "other.json").write_bytes(content)
    done = nrbench("compare", out / "tiny", tmp_path / "other.json")
    assert done.code == code
    assert "no leaderboard that can be read here" in done.err
    assert nrbench("compare", out / "tiny", tmp_path / "nothing").code == 3


def test_boards_without_a_common_row(out: Path, nrbench: Command, tmp_path: Path) -> None:
    """Two studies of different things cannot be compared."""
    board = nrbench_load(out)
    other = board.model_copy(update={"rows": tuple(row.replace(method=f"other {row.method}") for row in board.rows)})
    (tmp_path / "other.json").write_bytes(other.json_bytes())
    done = nrbench("compare", out / "tiny", tmp_path / "other.json")
    assert done.code == 2
    assert "no row in common" in done.err


def test_a_board_in_python(out: Path) -> None:
    """Rows are found by their labels, and a data frame has a line for each row and a column for each field."""
    board = nrbench_load(out)
    (row,) = board["RWP", "Gaussian 0.1", "chosen"]
    assert (row.method, row.noise, row.selection) == ("RWP", "Gaussian 0.1", "chosen")
    assert len(board["RWP"]) == 6
    with pytest.raises(KeyError, match="there are"):
        _ = board["RWP", "nothing"]
    frame = board.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["accuracy"]) == [row.accuracy for row in board.rows]
    with pytest.raises(DataError, match="there is no leaderboard"):
        package.load(out)


def test_the_weights_of_a_run_give_its_counts(out: Path, nrbench: Command) -> None:
    """Judged again, every cell has the stored integers; one that was changed, and one whose weights are gone, are named."""
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    done = nrbench("verify", out / "tiny")
    assert (done.code, done.out.strip()) == (0, "24 cells: 24 same")
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == before
    path = sorted(out.glob("store/cells/??/*.json"))[0]
    document = json.loads(path.read_bytes().partition(b"\n")[2])
    then = document["correct"][0]
    document["correct"][0] = then - 1 if then else 1
    write_json(path, document)
    done = nrbench("verify", out / "tiny", "--json")
    assert done.code == 4
    (wrong,) = [each for each in json.loads(done.out) if each["verdict"] != "same"]
    assert (wrong["cell"], wrong["verdict"]) == (path.stem, "different")
    assert f"draw 0: {then} right, {document['correct'][0]} stored" in wrong["reason"]
    for weights in out.rglob("epochs/*.safetensors"):
        weights.unlink()
    done = nrbench("verify", out / "tiny")
    assert done.code == 3
    assert "24 lost" in done.out
    assert nrbench("verify", out).code == 2
