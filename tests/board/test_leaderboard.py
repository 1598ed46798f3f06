from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import jsonschema
import numpy as np
import pytest
import torch
from scipy import stats

from nrbench import Cell, Leaderboard, Options, Store, Suite, run
from nrbench.board.ranking import rankings
from nrbench.jobs.device import environment
from nrbench.jobs.results import CellFailure, CellResult
from nrbench.report.page import page_of
from nrbench.suite.suite import TrainingLabels

# right answers of 200: two methods, three seeds, four draws
COUNTS = {
    "SGD": [[100, 104, 98, 110], [90, 95, 100, 85], [120, 118, 119, 121]],
    "RWP": [[110, 112, 108, 114], [101, 99, 104, 96], [126, 122, 124, 128]],
}
CLEAN = {"SGD": [150, 152, 154], "RWP": [111, 104, 126]}


@pytest.fixture
def suite(tiny: Suite) -> Suite:
    """The tiny suite with three seeds and one selection."""
    return tiny.replace(seeds=3, selections={"last": tiny.selections["last"]}, draws=4)


def result(cell: Cell, correct: Sequence[int], clean: int, epoch: int = 3, images: int = 200) -> CellResult:
    return CellResult(
        correct=tuple(correct),
        images=images,
        epoch=epoch,
        clean_correct=clean,
        training=cell.training.key,
        chosen_with=None,
        displacement_norm=1.0,
        weight_norm=2.0,
        epochs=3,
        loss=0.5,
        passes_per_step=1.0,
        environments=(environment(torch.device("cpu")),),
    )


def fill(suite: Suite, store: Store) -> None:
    for (_, method), cells in suite.rows.items():
        for seed, cell in enumerate(cells):
            counts = COUNTS[method][seed] if cell.noise.random else CLEAN[method][seed : seed + 1]
            store.put(cell.key, result(cell, counts, CLEAN[method][seed]))


@pytest.fixture
def board(suite: Suite, tmp_path: Path) -> Leaderboard:
    store = Store(tmp_path)
    fill(suite, store)
    return Leaderboard.of(suite, store)


def row(board: Leaderboard, method: str, noise: str = "Gaussian 0.1"):  # type: ignore[no-untyped-def]
    (found,) = [row for row in board.rows if (row.method, row.noise) == (method, noise)]
    return found


@pytest.mark.parametrize("method", ["SGD", "RWP"])
def test_the_numbers_of_a_row_by_hand(board: Leaderboard, method: str) -> None:
    """Mean, both uncertainties and the t interval equal the standard library's and scipy's from the raw counts."""
    draws = [[count / 2 for count in seed] for seed in COUNTS[method]]
    means = [mean(seed) for seed in draws]
    chips = [accuracy for seed in draws for accuracy in seed]
    ours = row(board, method)
    assert ours.accuracy == pytest.approx(mean(means))
    assert ours.noise_std == pytest.approx(mean(stdev(seed) for seed in draws))
    assert ours.weight_std == pytest.approx(stdev(means))
    assert ours.interval == pytest.approx(stats.t.interval(0.95, 2, mean(means), stats.sem(means)))
    assert (ours.minimum, ours.quantile_5) == (min(chips), pytest.approx(np.quantile(chips, 0.05)))
    clean = [count / 2 for count in CLEAN[method]]
    assert ours.clean_accuracy_there == pytest.approx(mean(clean))
    close = [a >= there - 1 for seed, there in zip(draws, clean, strict=True) for a in seed]
    assert ours.yield_1 == pytest.approx(mean(close))
    assert (ours.seeds, ours.draws, ours.selected_epochs, ours.status) == (3, 4, (3, 3, 3), "ok")


def test_the_clean_column_has_one_uncertainty(board: Leaderboard) -> None:
    """Without noise there is nothing to draw: the noise uncertainty is null."""
    clean = row(board, "SGD", "clean")
    assert clean.noise_std is None
    assert clean.weight_std == pytest.approx(1.0)


def test_the_difference_to_the_baseline_is_paired(board: Leaderboard) -> None:
    """Differences are taken seed by seed, so that what seeds share cancels; the interval is scipy's paired one."""
    first, second = ([mean(c / 2 for c in seed) for seed in COUNTS[m]] for m in ("SGD", "RWP"))
    differences = [b - a for a, b in zip(first, second, strict=True)]
    difference = row(board, "RWP").difference
    assert difference.to == "SGD"
    assert difference.mean == pytest.approx(mean(differences))
    test = stats.ttest_rel(second, first)
    assert difference.interval == pytest.approx(tuple(test.confidence_interval()))
    assert row(board, "SGD").difference is None


def test_mean_ranks_over_columns_and_seeds(board: Leaderboard) -> None:
    """SGD wins the clean column, RWP both noisy ones, on every seed."""
    (ranking,) = board.rankings
    assert [(rank.method, rank.mean_rank) for rank in ranking.rows] == [
        ("RWP", pytest.approx(4 / 3)),
        ("SGD", pytest.approx(5 / 3)),
    ]
    assert ranking.columns == 3
    assert all(rank.complete for rank in ranking.rows)
    assert ranking.rows[0].interval == pytest.approx((4 / 3, 4 / 3))
    for rank in ranking.rows:
        noisy = [mean(seed) / 2 for seed in COUNTS[rank.method]]
        numbers = sorted([count / 2 for count in CLEAN[rank.method]] + noisy + noisy)
        assert rank.mean_accuracy == pytest.approx(mean(numbers))
        assert rank.interquartile_mean == pytest.approx(mean(numbers[2:-2]))


def test_the_file_is_canonical_and_valid(board: Leaderboard) -> None:
    """leaderboard.json is the one JSON text with sorted keys and no spaces, has sorted rows, no NaN, and fits its schema."""
    content = board.json_bytes()
    document = json.loads(content, parse_constant=pytest.fail)
    jsonschema.Draft202012Validator(Leaderboard.json_schema()).validate(document)
    jsonschema.Draft202012Validator.check_schema(Leaderboard.json_schema())
    one = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert content == one.encode() + b"\n"
    labels = [
        (r["dataset"], r["backbone"], r["selection"], r["batch_norm"], r["noise"], r["method"])
        for r in document["rows"]
    ]
    assert labels == sorted(labels)
    assert Leaderboard.from_json(content).json_bytes() == content
    required = {"schema", "suite", "environments", "rows", "rankings", "tables", "claims"}
    assert required <= set(document)


def test_the_order_of_methods_and_columns_in_the_suite_changes_no_number(suite: Suite, tmp_path: Path) -> None:
    """With its sections in another order, a suite with a named baseline has the same rows."""
    fill(suite, Store(tmp_path))
    named = suite.replace(report=suite.report.replace(baseline="SGD"))
    turned = named.replace(methods=dict(reversed(named.methods.items())), noise=dict(reversed(named.noise.items())))
    first, second = (Leaderboard.of(each, Store(tmp_path)).json_bytes() for each in (named, turned))
    assert first == second


def test_a_missing_cell_is_worst_in_its_column_and_flagged(suite: Suite, tmp_path: Path) -> None:
    """A cell that failed or is missing is shown, ranks last in its column, and leaves the method without a group."""
    store = Store(tmp_path)
    fill(suite, store)
    column = next(column for column in suite.columns() if column.noise == "Gaussian 0.1")
    store.discard(suite.rows[column, "RWP"][1].key)
    store.put(suite.rows[column, "RWP"][1].key, CellFailure(status="timeout", message="too slow"))
    store.discard(suite.rows[column, "SGD"][2].key)
    board = Leaderboard.of(suite, store)
    assert (row(board, "RWP").status, row(board, "RWP").reason) == ("timeout", "too slow")
    assert b"too slow" not in board.json_bytes(), "a message may hold paths and times"
    assert (row(board, "SGD").status, row(board, "SGD").seeds) == ("incomplete", 2)
    assert row(board, "RWP").accuracy is not None
    assert board.failed == 2
    assert "some cells have no result" in board.flags
    ranks = {rank.method: rank for rank in board.rankings[0].rows}
    assert not any(rank.complete for rank in ranks.values())
    assert (ranks["RWP"].group, ranks["RWP"].mean_accuracy, ranks["RWP"].interquartile_mean) == ("", None, None)
    assert ranks["RWP"].mean_rank == pytest.approx((4 / 3 + 5 / 3 + 4 / 3) / 3)


def test_what_is_the_same_in_every_draw_shares_its_rank(suite: Suite, tmp_path: Path) -> None:
    """Two methods with equal counts tie at their mean rank and share a letter."""
    store = Store(tmp_path)
    for cell in suite.cells():
        store.put(cell.key, result(cell, [100] * cell.draws, 100))
    (ranking,) = Leaderboard.of(suite, store).rankings
    assert [rank.mean_rank for rank in ranking.rows] == [1.5, 1.5]
    assert [rank.group for rank in ranking.rows] == ["a", "a"]


def test_many_methods_have_no_letters_and_are_compared_with_the_first(suite: Suite) -> None:
    """Of 60 methods the last 31 are alike, and the second differs from the first by p = 5e-4: enough of 59 pairs, not of 1,770."""
    jitter = np.random.default_rng(0).integers(0, 50, (60, 3))
    counts = [900_000 - 10_000 * min(method, 29) + jitter[method] for method in range(60)]
    counts[0], counts[1] = np.array([900_000] * 3), np.array([898_961, 899_000, 899_039])
    many = suite.replace(methods={f"RWP {i}": suite.methods["RWP"].replace(sigma=(i + 1) / 100) for i in range(60)})
    found = {
        (column, method): [
            result(cell, [int(counts[number][seed])] * cell.draws, 0, images=1_000_000)
            for seed, cell in enumerate(cells)
        ]
        for (column, method), cells in many.rows.items()
        for number in [[*many.methods].index(method)]
    }
    (ranking,) = rankings(many, found, level=0.95)
    assert {rank.group for rank in ranking.rows} == {""}
    assert [rank.method for rank in ranking.rows if rank.leading] == ["RWP 0"]


def test_survivors_of_a_diverged_method_are_never_best(suite: Suite, tmp_path: Path) -> None:
    """A method that diverged on some seeds is not marked best for the seed that is left, and says how many that is."""
    store = Store(tmp_path)
    fill(suite, store)
    for column in suite.columns():
        for seed in (1, 2):
            cell = suite.rows[column, "RWP"][seed]
            store.discard(cell.key)
            store.put(cell.key, result(cell, [0] * cell.draws, 0).replace(status="diverged"))
        cell = suite.rows[column, "RWP"][0]
        store.discard(cell.key)
        store.put(cell.key, result(cell, [200] * cell.draws, 200))
    board = Leaderboard.of(suite, store)
    assert (row(board, "RWP").status, row(board, "RWP").seeds, row(board, "RWP").accuracy) == ("diverged", 1, 100)
    (sheet,) = [sheet for sheet in page_of(board, suite, store).sheets if sheet.title.startswith("MLP on synthetic")]
    styles = {line.label: {entry.styles for entry in line.entries[:-1]} for line in sheet.lines}
    assert styles == {"SGD": {("best", "second")}, "RWP": {("failed",)}}
    assert board.rankings[0].rows[0].method == "SGD"


def test_the_yield_counts_chips_exactly_one_point_down(suite: Suite, tmp_path: Path) -> None:
    """A loss of exactly one point is within one point, whatever the rounding of percentages."""
    store = Store(tmp_path)
    for cell in suite.cells():
        store.put(cell.key, result(cell, [139, 138, 137, 140][: cell.draws], 140))
    assert row(Leaderboard.of(suite, store), "SGD").yield_1 == 0.75


def test_one_seed_has_no_interval(suite: Suite, tmp_path: Path) -> None:
    """With one seed or draw a spread is null and the board says how little it rests on."""
    single = suite.replace(seeds=1, draws=1)
    store = Store(tmp_path)
    for cell in single.cells():
        store.put(cell.key, result(cell, [100] * cell.draws, 100))
    board = Leaderboard.of(single, store)
    ours = row(board, "RWP")
    assert (ours.noise_std, ours.weight_std, ours.interval, ours.difference.interval) == (None, None, None, None)
    assert "fewer than 3 seeds" in board.flags


def test_mixed_environments_are_flagged(suite: Suite, tmp_path: Path) -> None:
    """Results of two torch versions in one board are a reason to doubt, and say so."""
    store = Store(tmp_path)
    fill(suite, store)
    cell = next(suite.cells())
    here = environment(torch.device("cpu"))
    store.discard(cell.key)
    store.put(cell.key, result(cell, [1], 1).replace(environments=(here, here.replace(torch="0.0"))))
    board = Leaderboard.of(suite, store)
    assert len(board.environments) == 2
    assert "mixed environments" in board.flags


def test_rows_hold_what_chose_their_epochs(tiny: Suite, tmp_path: Path) -> None:
    """The accuracy on the held-out images is that of the stored scores at the chosen epochs; without a choice there is none."""
    options = Options(out=tmp_path)
    board = run(tiny, options=options)
    for row in board.rows:
        if row.selection == "last":
            assert (row.validation_accuracy, row.selected_on, row.chosen_by) == (None, None, row.accuracy)
            continue
        noise = tiny.noise[row.noise]
        scoring = tiny.selections["chosen"].scoring(noise)
        assert scoring is not None
        counts = []
        for seed, epoch in enumerate(row.selected_epochs):
            labels = TrainingLabels(row.method, row.backbone, row.dataset, seed)
            record = options.store.training(tiny.own_trainings[labels].key).record()
            scores = [each.measured[scoring.fingerprint]["correct"] for each in record.epochs]
            assert scores[epoch - 1] == max(scores)
            counts.append(max(scores))
        assert row.validation_accuracy == pytest.approx(100 * mean(counts) / 12)  # 12 of 128 images: 3 of each class
        assert (row.selected_on, row.chosen_by) == ("validation", row.validation_accuracy)


def test_variance_components_stand_beside_the_uncertainties(board: Leaderboard) -> None:
    """They are those of the one-way analysis of variance of the counts, in percent, and none without noise."""
    for row in board.rows:
        if row.noise == "clean":
            assert (row.seed_std, row.draw_std) == (None, None)
            continue
        draws = np.array(COUNTS[row.method]) / 2
        within = draws.var(axis=1, ddof=1).mean()
        between = draws.mean(1).var(ddof=1) - within / 4
        assert (row.draw_std, row.seed_std) == (pytest.approx(within**0.5), pytest.approx(max(between, 0) ** 0.5))
        assert row.by_seed == pytest.approx(draws.mean(1))
        assert len(set(row.cells)) == 3
