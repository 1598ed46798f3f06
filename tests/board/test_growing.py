"""Growing studies: seeds are added to all methods alike until what was asked for is told apart, and no further."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import nrbench as package
from nrbench import Options, Registry, Store, load_suite
from nrbench.base.sequential import level_at_end, repeated_levels
from nrbench.base.statistics import paired_p, t_interval
from nrbench.board.growing import grown, growth_of, unresolved
from nrbench.suite.suite import Suite
from tests.conftest import TINY, Finished

Command = Callable[..., Finished]
Write = Callable[..., Path]
GROWING = TINY.replace("seeds: 2", "seeds: {from: 3, to: 6, until: resolved}")


@pytest.fixture
def growing(write_suite: Write, registry: Registry) -> Suite:
    suite = load_suite(write_suite(GROWING), registry)
    assert isinstance(suite, Suite)
    return suite


def test_it_ends_where_a_look_tells_all_pairs_apart(growing: Suite, tmp_path: Path) -> None:
    """The number of seeds is the first at which every pair's test is below the look's own level, or the last one."""
    board = package.run(growing, options=Options(out=tmp_path))
    assert board.growth is not None
    ends = board.growth.seeds
    rows = {(row.column, row.method): row for row in board.rows}
    networks = {column[:4] for column, _ in rows}

    def means(method: str, network: tuple[str, ...], seeds: int) -> list[float]:
        own = [row.by_seed[:seeds] for (column, label), row in rows.items() if (column[:4], label) == (network, method)]
        return [sum(v or 0.0 for v in values) / len(values) for values in zip(*own, strict=True)]

    def open_at(seeds: int, level: float) -> int:
        """How many are open that share no training."""
        pairs = {network: paired_p(means("RWP", network, seeds), means("SGD", network, seeds)) for network in networks}
        return len({network[:2] for network, p in pairs.items() if p >= 1 - level})

    levels = dict(zip(range(3, 7), repeated_levels((3, 4, 5, 6), 6), strict=True))
    assert all(open_at(seeds, levels[seeds]) for seeds in range(3, ends))
    assert ends == 6 or not open_at(ends, levels[ends])
    could_end = [seeds for seeds in range(3, ends) if open_at(seeds, levels[seeds]) < 2]
    assert board.growth.level == board.level == level_at_end((*could_end, ends), 6)
    assert bool(board.growth.unresolved) == bool(open_at(ends, board.level))
    assert {len(row.by_seed) for row in board.rows} == {ends}


def test_intervals_and_tests_are_those_of_the_look(growing: Suite, tmp_path: Path) -> None:
    """Every interval on the board, and the leaders of every column, are made at the level of the last look."""
    board = package.run(growing, options=Options(out=tmp_path))
    for row in board.rows:
        values = [value for value in row.by_seed if value is not None]
        assert row.interval == t_interval(values, level=board.level)
        whole = t_interval(values)
        assert whole is not None
        assert row.interval is not None
        assert row.interval[0] <= whole[0]
    page = (tmp_path / "tiny" / "leaderboard.md").read_text()
    assert f"each at {100 * board.level:.2f} %" in page


def test_it_is_the_study_that_was_asked_for_at_once(
    growing: Suite, write_suite: Write, registry: Registry, tmp_path: Path
) -> None:
    """The counts of a study that grew to n seeds are those of one with n seeds, and the store is the same."""
    board = package.run(growing, options=Options(out=tmp_path / "grown"))
    fixed = load_suite(write_suite(TINY.replace("seeds: 2", f"seeds: {len(board.rows[0].by_seed)}")), registry)
    other = package.run(fixed, options=Options(out=tmp_path / "fixed"))
    assert [row.by_seed for row in board.rows] == [row.by_seed for row in other.rows]
    assert other.growth is None
    assert Store(tmp_path / "grown" / "store").judged() == Store(tmp_path / "fixed" / "store").judged()


def test_what_was_grown_is_reported_verified_and_resumed(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """A rerun computes nothing, and report, status and verify find the number of seeds at which it ended."""
    path, out = write_suite(GROWING), tmp_path / "out"
    assert nrbench("run", path, "-o", out).code == 0
    written = (out / "tiny" / "leaderboard.json").read_bytes()
    seeds = json.loads(written)["growth"]["seeds"]
    again = nrbench("run", path, "-o", out)
    assert "epoch" not in again.err
    for arguments in (["report", path, "-o", out], ["report", out / "tiny"]):
        assert nrbench(*arguments).code == 0
        assert (out / "tiny" / "leaderboard.json").read_bytes() == written
    assert json.loads(nrbench("status", path, "-o", out, "--json").out)["cells"] == 12 * seeds
    assert nrbench("verify", out / "tiny").out.strip() == f"{12 * seeds} cells: {12 * seeds} same"
    assert "seeds" in nrbench("plan", path, "-o", out).out
    row = json.loads(written)["rows"][0]["cells"][0]
    assert nrbench("submit", row, "--results", out, "-o", tmp_path / "row.zip").code == 0
    with package.share.opened(tmp_path / "row.zip", package.load_registry()) as study:
        assert study.board.level == package.load(out / "tiny").level


def test_force_computes_each_cell_once(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """With --force a look computes its own seeds again, not those of the looks before."""
    path, out = write_suite(GROWING), tmp_path / "out"
    assert nrbench("run", path, "-o", out).code == 0
    seeds = len(package.load(out / "tiny").rows[0].by_seed)
    done = nrbench("run", path, "-o", out, "--force")
    assert done.err.count(": epoch 3/3") == 2 * seeds


def test_a_study_that_was_stopped_goes_on_where_it_was(growing: Suite, tmp_path: Path) -> None:
    """With results missing, the study stands at the look that lacks them."""
    board = package.run(growing, options=Options(out=tmp_path))
    store = Store(tmp_path / "store")
    store.discard(board.rows[0].cells[-1])
    look = grown(growing, store)
    assert look.parts[0].seed_count == board.growth.seeds if board.growth else 0
    store.discard(board.rows[0].cells[0])
    assert grown(growing, store).parts[0].seed_count == 3


def test_pairs_of_ones_own(write_suite: Write, registry: Registry, tmp_path: Path) -> None:
    """Only the pairs and noise models that a suite names are waited for; a pair with a side that failed is not."""
    text = GROWING + "report: {resolve: [[RWP, SGD], {methods: [SGD, Broken], noise: clean}]}\n"
    text = text.replace("  RWP:", "  Broken: {name: trained, files: [gone.safetensors]}\n  RWP:")
    (tmp_path / "gone.safetensors").write_bytes(b"x")
    suite = load_suite(write_suite(GROWING), registry)
    results = {cell.key: None for cell in suite.cells()}
    (look, *_) = suite.looks()
    assert list(unresolved(look.parts[0], results, 3, 0.95)) == []
    assert growth_of(suite, results) is None  # it has not begun


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("seeds: {from: 2, to: 6, until: resolved}", "2:8", "begin with 3 or more"),
        ("seeds: {from: 6, to: 6, until: resolved}", "2:8", "nothing to add from 6 to 6"),
        ("seeds: {from: 3, to: 101, until: resolved}", "2:22", "less than or equal to 100"),
        ("seeds: {from: 3, to: 6, until: never}", "2:32", "should be 'resolved'"),
        ("seeds: {from: 3, to: 6}", "2:8", "seeds.until: it is required"),
        ("seeds: {from: 3.5, to: 6, until: resolved}", "2:15", "valid integer"),
        ("seeds: {from: 3, to: 6, until: resolved, by: 2}", "2:42", "no such field"),
        ("seeds: 0", "2:8", "greater than or equal to 1"),
        ("seeds: many", "2:8", "valid integer"),
    ],
)
def test_seeds_that_cannot_be(nrbench: Command, write_suite: Write, text: str, place: str, message: str) -> None:
    """Each mistake is at its place, and nothing is run."""
    done = nrbench("validate", write_suite(TINY.replace("seeds: 2", text)), "--no-build")
    assert done.code == 2
    assert f"suite.yaml:{place}:" in done.err
    assert message in done.err


@pytest.mark.parametrize(
    ("resolve", "message"),
    [
        ("[[RWP, SDG]]", "no method is labelled 'SDG'; did you mean 'SGD'"),
        ("[{methods: [RWP, SGD], noise: Gauss}]", "no noise here is 'Gauss'"),
        ("[[RWP]]", "report.resolve.0.1: it is required"),
        ("[RWP, SGD]", "report.resolve.0"),
    ],
)
def test_pairs_that_are_not_there(nrbench: Command, write_suite: Write, resolve: str, message: str) -> None:
    """A pair of what the suite has not is an error where it is written."""
    done = nrbench("validate", write_suite(GROWING + f"report: {{resolve: {resolve}}}\n"), "--no-build")
    assert done.code == 2
    assert message in done.err
    assert "suite.yaml:16:" in done.err


def test_pairs_without_growing_seeds(nrbench: Command, write_suite: Write) -> None:
    """Naming pairs where the number of seeds is fixed is a contradiction."""
    done = nrbench("validate", write_suite(TINY + "report: {resolve: [[RWP, SGD]]}\n"), "--no-build")
    assert done.code == 2
    assert "nothing is added to tell them apart: there are 2 seeds" in done.err


def test_a_part_of_a_finished_study_is_the_whole_study(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """Run again with --only or --exclude, it ends where it ended: what is stored decides, not what was asked for."""
    path, out = write_suite(GROWING), tmp_path / "out"
    assert nrbench("run", path, "-o", out).code == 0
    written = (out / "tiny" / "leaderboard.json").read_bytes()
    for more in (["--only", "SGD"], ["--exclude", "clean"]):
        nrbench("run", path, "-o", out, *more)
        assert (out / "tiny" / "leaderboard.json").read_bytes() == written
