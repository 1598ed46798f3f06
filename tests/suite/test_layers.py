from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nrbench import Collection, Leaderboard, Options, Processes, Registry, SuiteError, load_suite
from nrbench import run as run_suite
from nrbench.base.errors import UsageError
from nrbench.jobs.plan import plan
from nrbench.suite.locked import locked_suite
from tests.conftest import TINY

Write = Callable[..., Path]
SECOND = TINY.replace("name: tiny", "name: second", 1).replace(
    "RWP: {name: rwp, sigma: 0.1}", "SAM: {name: sam, rho: 0.1}"
)
BOTH = "name: both\ninclude: [tiny.yaml, second.yaml]\n"


@pytest.fixture
def both(write_suite: Write) -> Path:
    """A collection of two suites that share SGD."""
    write_suite(TINY, "tiny.yaml")
    write_suite(SECOND, "second.yaml")
    return write_suite(BOTH, "both.yaml")


def problems(path: Path, registry: Registry, *settings: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        load_suite(path, registry, settings=settings)
    return [f"{Path(p.mark.file).name}:{p.mark.line}:{p.mark.column} {p.message}" for p in caught.value.problems]


def test_a_collection_is_its_suites_and_shares_their_cells(both: Path, registry: Registry) -> None:
    """What two suites ask for in common is one training and one cell, and each suite keeps its own product."""
    loaded = load_suite(both, registry)
    assert isinstance(loaded, Collection)
    assert [suite.name for suite in loaded.parts] == ["tiny", "second"]
    cells = list(loaded.cells())
    alone = [set(suite.cells()) for suite in loaded.parts]
    assert len(cells) == len(set(cells))
    assert set(cells) == alone[0] | alone[1]
    assert len(alone[0] & alone[1]) == len(alone[0]) // 2  # SGD
    assert list(loaded.section("methods")) == ["SGD", "RWP", "SAM"]


def test_a_collection_runs_once_and_ranks_each_suite(both: Path, registry: Registry, tmp_path: Path) -> None:
    """Its board has every row once, numbers equal to those of the suites alone, a ranking for each suite, and the same bytes from two workers."""
    options = Options(out=tmp_path / "out")
    board = run_suite(load_suite(both, registry), options=options)
    elsewhere = Options(out=tmp_path / "elsewhere", executor=Processes(jobs=2))
    assert run_suite(load_suite(both, registry), options=elsewhere).json_bytes() == board.json_bytes()
    assert {ranking.suite for ranking in board.rankings} == {"tiny", "second"}
    assert len({(row.column, row.method) for row in board.rows}) == len(board.rows) == 18
    assert all(row.status == "ok" for row in board.rows)
    for name in ("tiny", "second"):
        suite = load_suite(both.with_name(f"{name}.yaml"), registry)
        assert plan(suite.cells(), options.store).missing == 0
        alone = Leaderboard.of(suite, options.store)
        assert set(alone.rows) <= set(board.rows)
        assert alone.rankings == tuple(ranking for ranking in board.rankings if ranking.suite == name)
    locked = locked_suite(tmp_path / "out" / "both" / "suite.lock.json", registry)
    assert locked.lock() == load_suite(both, registry).lock()
    assert Leaderboard.of(locked, options.store).json_bytes() == board.json_bytes()


def test_other_sections_are_laid_over_every_suite(both: Path, registry: Registry) -> None:
    """A recipe, a deletion and a setting reach every suite that has what they name; own fields are the collection's."""
    both.write_text(BOTH + "description: about both\nrecipe: {epochs: 7}\nselections: {chosen: null}\n")
    loaded = load_suite(both, registry, settings=["methods.SAM.rho=0.5", "seeds=1", "name=other"])
    assert (loaded.name, loaded.description) == ("other", "about both")
    assert {(suite.recipe.epochs, suite.seeds, tuple(suite.selections)) for suite in loaded.parts} == {
        (7, 1, ("last",))
    }
    assert [suite.description for suite in loaded.parts] == ["", ""]
    assert "SAM" not in loaded.parts[0].methods
    assert loaded.parts[1].methods["SAM"].rho == 0.5  # type: ignore[attr-defined]
    for setting in ("include=[tiny.yaml]", "extends=tiny.yaml", "claims.C9=null"):
        with pytest.raises(UsageError, match="--set"):
            load_suite(both, registry, settings=[setting])
    assert problems(both, registry, "methods.SMA=null") == [
        "--set methods.SMA=null:1:1 there is nothing of that label to delete"
    ]


def test_a_collection_of_collections_keeps_tables_and_claims(
    both: Path, write_suite: Write, registry: Registry
) -> None:
    """An included collection brings its suites, its tables and its claims; what is laid over reaches all of them."""
    claim = (
        "claims: {C: {name: better, text: x, pairs: [{a: {method: SAM}, b: {method: RWP}, under: {noise: clean}}]}}\n"
    )
    table = 'tables: [{title: T, rows: ["*"], columns: [clean]}]\n'
    both.write_text(BOTH + claim + table)
    outer = write_suite(
        "name: outer\ninclude: [both.yaml]\nrecipe: {epochs: 1}\n" + table.replace("T", "U"), "outer.yaml"
    )
    loaded = load_suite(outer, registry)
    assert (loaded.name, list(loaded.claims)) == ("outer", ["C"])
    assert [pivot.title for pivot in loaded.tables] == ["T", "U"]
    assert [suite.recipe.epochs for suite in loaded.parts] == [1, 1]


def test_includes_that_go_in_circles(both: Path, write_suite: Write, registry: Registry) -> None:
    """A collection that includes itself, directly or through another, is an error at the entry that closes the circle."""
    write_suite("name: loop\ninclude: [both.yaml]\n", "second.yaml")
    both.write_text("name: both\ninclude:\n  - tiny.yaml\n  - second.yaml\n")
    assert problems(both, registry) == ["second.yaml:2:11 both.yaml leads back to this file"]
    write_suite("name: self\ninclude: [self.yaml]\n", "self.yaml")
    assert problems(both.with_name("self.yaml"), registry) == ["self.yaml:2:11 self.yaml leads back to this file"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("SGD: {name: sgd}", "SGD: {name: rwp, sigma: 0.5}", "'SGD' is not the same in second as in tiny"),
        ("clean: {name: none}", "clean: {name: gaussian}", "'clean' is not the same in second as in tiny"),
        ("seeds: 2", "seeds: 3", "second has other seeds than tiny"),
        ("draws: 3", "draws: 4", "second has other draws than tiny"),
        ("last: {name: last}", "end: {name: last}", "second has other selections than tiny"),
        ("lr: 0.05", "lr: 0.06", "second trains SGD, MLP, synthetic by another recipe than tiny"),
    ],
)
def test_labels_mean_the_same_everywhere(both: Path, registry: Registry, old: str, new: str, message: str) -> None:
    """Suites that use a label for two things, or differ in seeds, draws, selections or recipe, are refused at the entry."""
    second = both.with_name("second.yaml")
    second.write_text(second.read_text().replace(old, new))
    (problem,) = problems(both, registry)
    assert problem.startswith(f"both.yaml:2:22 {message}")


def test_a_suite_cannot_be_included_twice(both: Path, registry: Registry) -> None:
    """Two suites of one name in a collection are refused: nobody could tell their rankings apart."""
    both.write_text("name: both\ninclude: [tiny.yaml, tiny.yaml]\n")
    assert problems(both, registry) == ["both.yaml:2:22 two suites here are named tiny"]


def test_another_recipe_under_other_labels_is_fine(both: Path, registry: Registry) -> None:
    """Suites may be trained differently as long as no label stands for two trainings."""
    second = both.with_name("second.yaml")
    second.write_text(second.read_text().replace("SGD:", "SGD, longer:").replace("epochs: 3", "epochs: 6"))
    assert [suite.recipe.epochs for suite in load_suite(both, registry).parts] == [3, 6]


def test_every_mistake_in_every_suite_is_shown(both: Path, registry: Registry) -> None:
    """Mistakes of all included suites and of the collection itself are located in their own files."""
    for name in ("tiny", "second"):
        path = both.with_name(f"{name}.yaml")
        path.write_text(path.read_text().replace("sgd, lr", "sgd, rl").replace("hidden", "hiden"))
    assert [problem.split()[0] for problem in problems(both, registry)] == [
        f"{name}.yaml:{place}" for name in ("second", "tiny") for place in ("5:30", "6:99")
    ]
    both.write_text("name: both\ninclude: tiny.yaml\n")
    assert problems(both, registry) == ["both.yaml:2:10 expected a list of suites"]
    both.write_text("name: both\ninclude: [there.yaml]\n")
    assert "there is no file" in problems(both, registry)[0]


def test_what_is_in_no_key_is_in_no_comparison(both: Path, registry: Registry, tmp_path: Path) -> None:
    """Suites of a collection that keep other epochs, or make checkpoints at other times, are of one recipe."""
    alone = load_suite(both, registry)
    second = both.parent / "second.yaml"
    second.write_text(SECOND.replace("epochs: 3", "epochs: 3, keep_epochs: 0, checkpoint_every: 2"))
    loaded = load_suite(both, registry)
    recipes = [part.recipe for part in loaded.parts]
    assert recipes[0].keep_epochs != recipes[1].keep_epochs
    assert recipes[0] == recipes[1]
    assert [cell.key for cell in loaded.cells()] == [cell.key for cell in alone.cells()]
    assert set(loaded.cells()) == set(alone.cells())
    second.write_text(SECOND.replace("epochs: 3", "epochs: 4"))
    assert any("by another recipe" in problem for problem in problems(both, registry))
