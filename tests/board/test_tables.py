from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nrbench import Evidence, Registry, Row, SuiteError, load_suite, unprejudiced
from nrbench.board.tables import PivotTable, combined, pivoted
from nrbench.report.asked_tables import asked_tables
from nrbench.suite.table import Pivot
from nrbench_claims import Better
from nrbench_methods import RWP, SGD
from nrbench_noise import Gaussian, NoNoise
from tests.conftest import TINY
from tests.rows import printed as printed_row
from tests.rows import row

METHODS = {"SGD": SGD(), **{f"RWP {s:g}": RWP(sigma=s) for s in (0.1, 0.2, 0.3)}}
NOISE = {"clean": NoNoise(), **{f"G {s:g}": Gaussian(sigma=s) for s in (0.1, 0.2)}}
SECTIONS = {"method": METHODS, "noise": NOISE, "backbone": {"net": None, "wide": None}, "dataset": {"data": None}}
VALUES = {
    "SGD": (90.0, 80.0, 40.0),
    "RWP 0.1": (88.0, 82.0, 60.0),
    "RWP 0.2": (85.0, 83.0, 70.0),
    "RWP 0.3": (70, 69, 66),
}
SPREADS = {"SGD": (-2, 1, 1), "RWP 0.1": (1, -2, 1), "RWP 0.2": (1, 1, -2), "RWP 0.3": (0, 1, -1)}
"""What each seed adds, in 1/64 of a point: little enough that whole points are told apart, and exact in binary."""
ROWS = [
    row(method, tuple(value + each / 64 for each in SPREADS[method]), noise, backbone)
    for method, values in VALUES.items()
    for noise, number in zip(NOISE, values, strict=True)
    for backbone, value in (("net", number), ("wide", number + 1))
]


def filled(printed: list[Row] | None = None, given: list[Row] = ROWS, **fields: Any) -> PivotTable:
    pivot = Pivot.model_validate({"title": "a table", "under": {"backbone": "net"}} | fields)
    return pivoted(pivot, given, suite="s", sections=SECTIONS, printed=printed or [])


def numbers(table: PivotTable) -> list[list[float | None]]:
    return [[cell.accuracy if cell else None for cell in line.cells] for line in table.lines]


def marked(table: PivotTable, mark: str) -> list[str]:
    return [
        f"{line.label} at {column}"
        for line in table.lines
        for column, cell in zip(table.columns, line.cells, strict=True)
        if cell is not None and getattr(cell, mark)
    ]


def test_labels_are_taken_one_by_one_and_the_best_of_a_column_is_bold() -> None:
    """A text is a line for each label that it matches, and in each column the highest number is marked."""
    table = filled(**{"rows": ["SGD", "RWP *"], "columns": ["clean", "G *"]})
    assert [line.label for line in table.lines] == list(METHODS)
    assert table.columns == tuple(NOISE) == table.noises
    assert numbers(table) == [list(values) for values in VALUES.values()]
    assert marked(table, "bold") == ["SGD at clean", "RWP 0.2 at G 0.1", "RWP 0.2 at G 0.2"]
    assert marked(table, "underlined") == []


def test_the_best_of_a_group_is_chosen_for_each_column() -> None:
    """A cell of a group holds its best method, how many were tried, and where the choice was made."""
    table = filled(**{"rows": [{"label": "RWP", "best_of": "RWP *"}], "columns": ["clean", "G *"]})
    (line,) = table.lines
    assert [cell.method for cell in line.cells if cell] == ["RWP 0.1", "RWP 0.2", "RWP 0.2"]
    assert {cell.tried for cell in line.cells if cell} == {3}
    assert (table.chosen_on, table.uneven) == ("test", False)


def test_a_choice_on_validation_is_not_one_by_accuracy() -> None:
    """Where rows have an accuracy on held-out images the best of a group is the best there."""
    rows = [
        row("RWP 0.1", (60.0, 60.0), selected_on="validation", validation_accuracy=71.0),
        row("RWP 0.2", (65.0, 65.0), selected_on="validation", validation_accuracy=70.0),
    ]
    (line,) = filled(given=rows, **{"rows": [{"best_of": "RWP *"}], "columns": ["clean"]}).lines
    assert line.cells[0] is not None
    assert (line.cells[0].method, line.cells[0].accuracy) == ("RWP 0.1", 60.0)


def test_what_is_judged_with_new_statistics_is_chosen_with_them() -> None:
    """Held-out images were met with BatchNorm's statistics as trained: what is best with new ones is said by these."""
    both = {"selected_on": "validation", "batch_norm": "recalibrated", "validation_by_seed": (71.0, 71.0)}
    rows = [
        row("RWP 0.1", (60.0, 61.0), **both, validation_accuracy=71.0),
        row("RWP 0.2", (65.0, 66.0), **(both | {"validation_by_seed": (70.0, 70.0)}), validation_accuracy=70.0),
    ]
    table = filled(given=rows, rows=[{"label": "RWP", "best_of": "RWP *"}], columns=["clean"])
    assert numbers(table) == [[65.5]]
    assert table.chosen_on == "test"
    fair = unprejudiced(rows)
    assert fair is not None
    assert fair.by_seed == (65.0, 66.0)


def test_a_group_with_a_member_that_failed_has_no_best() -> None:
    """Nobody knows whether what has no result would have been the best: the cell says its status instead."""
    rows = [row("RWP 0.1", (60.0, 60.0)), row("RWP 0.2", (None, None))]
    (line,) = filled(given=rows, **{"rows": [{"best_of": "RWP *"}], "columns": ["clean"]}).lines
    assert line.cells[0] is not None
    assert (line.cells[0].method, line.cells[0].accuracy) == (None, None)


def test_what_is_not_whole_is_shown_and_never_the_best() -> None:
    """A row that lacks a seed shows its number with its status, and is not bold though it is the highest."""
    rows = [row("RWP 0.1", (60.0, 60.0)), row("RWP 0.2", (95.0, None), status="error")]
    table = filled(given=rows, **{"rows": ["RWP *"], "columns": ["clean"]})
    assert numbers(table)[1] == [95.0]
    assert [cell.status for line in table.lines for cell in line.cells if cell] == ["ok", "error"]
    assert marked(table, "bold") == []  # of one whole row there is no best


def test_the_best_in_a_column_is_that_of_each_group_of_rows() -> None:
    """Rows that stand under a common name are compared with each other, as in the paper's table of two networks."""
    rows = [
        {"group": net, "label": method, "backbone": net, "method": method}
        for net in ("net", "wide")
        for method in VALUES
    ]
    table = filled(**{"rows": rows, "columns": ["G 0.2"], "under": {}})
    assert [(line.group, line.label) for line in table.lines if line.cells[0] and line.cells[0].bold] == [
        ("net", "RWP 0.2"), ("wide", "RWP 0.2"),
    ]  # fmt: skip


def test_two_strengths_across_make_a_grid() -> None:
    """Patterns of a row and of a column for one label meet in one method, as in a grid of two parameters."""
    table = filled(
        **{"rows": [{"label": "0.1", "method": "* 0.1"}, {"label": "0.2", "method": "* 0.2"}],
           "columns": [{"label": "RWP", "method": "RWP *"}], "under": {"noise": "G 0.2", "backbone": "net"}, "bold": "table"},
    )  # fmt: skip
    assert numbers(table) == [[60.0], [70.0]]
    assert marked(table, "bold") == ["0.2 at RWP"]


def test_bold_by_row_within_a_group_and_underlined_by_column() -> None:
    """As in the paper's tables of networks: the best method for a network is bold, the best network for a method underlined."""
    columns = [
        {"group": noise, "label": f"{method}, {noise}", "method": method, "noise": noise}
        for noise in ("clean", "G 0.2")
        for method in ("SGD", "RWP 0.2")
    ]
    table = filled(**{"rows": ["net", "wide"], "columns": columns, "bold": "row", "underline": "column", "under": {}})
    assert marked(table, "bold") == [
        f"{net} at {what}" for net in ("net", "wide") for what in ("SGD, clean", "RWP 0.2, G 0.2")
    ]
    assert marked(table, "underlined") == [f"wide at {column}" for column in table.columns]


def test_the_staircase_is_where_training_strength_exceeds_the_noise() -> None:
    """Cells in which the method's parameter is larger than the noise model's are marked; SGD and clean count as 0."""
    table = filled(**{"rows": ["SGD", "RWP *"], "columns": ["clean", "G *"], "staircase": "sigma"})
    above = marked(table, "above")
    assert above == ["RWP 0.1 at clean", "RWP 0.2 at clean", "RWP 0.2 at G 0.1", *(f"RWP 0.3 at {n}" for n in NOISE)]


def test_printed_numbers_stand_beside_in_units_of_both_uncertainties() -> None:
    """The difference is divided by √(s₁²/n₁ + s₂²/n₂), and a cell that the reference lacks has none."""
    assert combined(_with_std(70.0, 0.6, 5), _with_std(69.0, 0.9, 3)) == pytest.approx(1 / (0.36 / 5 + 0.81 / 3) ** 0.5)
    assert combined(_with_std(70.0, None, 5), _with_std(69.0, 0.9, 3)) is None
    assert combined(_with_std(70.0, 0.0, 5), _with_std(69.0, 0.0, 3)) is None
    (line,) = filled([printed_row("SGD", 89.0, 0.3)], **{"rows": ["SGD"], "columns": ["clean", "G 0.1"]}).lines
    first, second = line.cells
    assert first is not None
    assert first.reference is not None
    assert first.reference.accuracy == 89.0
    assert second is not None
    assert second.reference is None


def _with_std(accuracy: float, std: float | None, seeds: int) -> Row:
    return printed_row("m", accuracy, std, seeds=seeds)


# -- in a suite -------------------------------------------------------------------------------------------------------

WRONG = """\
tables:
  - {title: one, rows: [SGD, RPW], columns: [clean]}
  - {title: two, rows: [{method: "*"}], columns: [clean]}
  - {title: three, rows: [{method: SGD, noise: clean}], columns: ["Gaussian *"]}
  - {title: four, rows: [SGD], columns: [clean], reference: "7"}
  - {title: five, rows: [SGD], columns: [{nosie: clean}]}
"""


def test_a_table_that_asks_for_what_is_not_there_is_refused(
    write_suite: Callable[..., Path], registry: Registry
) -> None:
    """Unknown labels, rows that are several, lines without rows and missing references are errors at their places."""
    text = TINY + WRONG
    with pytest.raises(SuiteError) as caught:
        load_suite(write_suite(text.replace("nosie", "noise")), registry)
    first = text.splitlines().index("tables:") + 2
    found = [(problem.mark.line - first, problem.mark.column, problem.message) for problem in caught.value.problems]
    assert [(line, message.partition(";")[0]) for line, _, message in found] == [
        (0, "no label here is 'RPW'"),
        (1, "2 rows are '*' at 'clean'"),
        (2, "the suite asks for no row of 'SGD, clean'"),
        (3, "the reference has no table '7'"),
    ]
    assert caught.value.problems[0].hint == "did you mean 'RWP'?"
    with pytest.raises(SuiteError, match="there is no such field; did you mean 'noise'"):
        load_suite(write_suite(text), registry)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "table,dataset,backbone,method,noise,accuracy\n1,d,b,m,n,many\n",
            "line 2: accuracy: Input should be a valid number",
        ),
        (
            "# c\ntable,dataset,backbone,method,noise,accuracy\n1,d,b,m,n,700\n",
            "line 3: accuracy: Input should be less than",
        ),
        ("table,dataset,backbone,method,noise\n1,d,b,m,n\n", "its first line should be table,dataset,backbone,"),
        ("dataset,backbone,method,noise,accuracy\nd,b,m,n,\n", "line 2: accuracy: nothing is written there"),
        ("dataset,backbone,method,noise,accuracy\nd,b,m,n,1,2\n", "line 2 has 6 values, not 5"),
        ("# nothing\n", "its first line should be table,dataset,backbone,.* not nothing"),
        ("dataset,accuracy\n" + '"' + "x" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_a_reference_that_is_no_table_is_refused(
    write_suite: Callable[..., Path], registry: Registry, content: str, message: str
) -> None:
    """What is wrong with a reference's file is an error of the suite that names it, with its line."""
    path = write_suite(TINY + "reference: {file: printed.csv}\n")
    (path.parent / "printed.csv").write_text(content)
    with pytest.raises(SuiteError, match=rf"printed\.csv: {message}"):
        load_suite(path, registry)


def test_a_reference_saved_by_a_spreadsheet_is_read(write_suite: Callable[..., Path], registry: Registry) -> None:
    """A byte order mark before the first column is no part of its name."""
    path = write_suite(TINY + "reference: {file: printed.csv}\n")
    content = "table,dataset,backbone,method,noise,accuracy\n1,d,b,m,n,70\n"
    (path.parent / "printed.csv").write_text(content, encoding="utf-8-sig")
    reference = load_suite(path, registry).reference
    assert reference is not None
    assert [each.accuracy for each in reference.tables["1"]] == [70]


def test_what_cannot_be_told_from_the_best_is_bold_too() -> None:
    """Of rows whose paired test against the highest is below 5 % none is bold, all others are; of one seed nothing is told."""
    rows = [
        row("RWP 0.1", (60.0, 61.0, 62.0)),
        row("RWP 0.2", (60.2, 61.1, 62.3)),  # ahead by 0.2 ± 0.06: p = 0.074
        row("RWP 0.3", (50.0, 51.1, 52.0)),
    ]
    assert marked(filled(given=rows, **{"rows": ["RWP *"], "columns": ["clean"]}), "bold") == [
        "RWP 0.1 at clean",
        "RWP 0.2 at clean",
    ]
    single = [each.replace(by_seed=each.by_seed[:1]) for each in rows]
    assert len(marked(filled(given=single, **{"rows": ["RWP *"], "columns": ["clean"]}), "bold")) == 3


# -- the best of a group, without prejudice ---------------------------------------------------------------------------------


def test_every_seed_has_the_method_that_is_best_by_the_others() -> None:
    """By hand: without seed 0 the second is best (62 of 61), without 1 the first, without 2 the first."""
    first, second = row("RWP 0.1", (70.0, 60.0, 62.0)), row("RWP 0.2", (60.0, 64.0, 60.0))
    fair = unprejudiced([first, second])
    assert fair is not None
    assert fair.method == "RWP 0.1"  # what is chosen on all seeds
    assert fair.by_seed == (60.0, 60.0, 62.0)
    assert fair.accuracy == pytest.approx((60 + 60 + 62) / 3)
    (line,) = filled(given=[first, second], **{"rows": [{"best_of": "RWP *"}], "columns": ["clean"]}).lines
    assert line.cells[0] is not None
    assert (line.cells[0].accuracy, line.cells[0].unprejudiced) == (first.accuracy, fair.accuracy)


def test_a_choice_on_validation_leaves_the_seed_out_there() -> None:
    """Chosen is by the other seeds' accuracy on held-out images, and what counts is the accuracy of the seed left out."""
    first = row("a", (1.0, 2.0), selected_on="validation", validation_by_seed=(90.0, 50.0), validation_accuracy=70.0)
    second = row("b", (3.0, 4.0), selected_on="validation", validation_by_seed=(60.0, 60.0), validation_accuracy=60.0)
    fair = unprejudiced([first, second])
    assert fair is not None
    assert (fair.method, fair.by_seed) == ("a", (3.0, 2.0))


def test_a_method_that_diverged_is_never_chosen_for_a_seed() -> None:
    """What diverged is worse than anything in every seed; without a number to choose by there is no estimate."""
    good, diverged = row("a", (50.0, 52.0)), row("b", (None, None), status="diverged")
    fair = unprejudiced([good, diverged])
    assert fair is not None
    assert fair.by_seed == (50.0, 52.0)
    assert unprejudiced([good, row("b", (None, None))]) is None
    assert unprejudiced([row("a", (50.0,)), row("b", (40.0,))]) is None
    assert unprejudiced([]) is None


def test_choosing_among_equals_looks_better_than_it_is() -> None:
    """Of twenty methods without a difference the best of five seeds is 0.83 points high; leaving seeds out, it is not."""
    rng = np.random.default_rng(0)
    chosen, fair = [], []
    for _ in range(400):
        rows = [row(f"m{i}", tuple(50 + rng.standard_normal(5))) for i in range(20)]
        estimate = unprejudiced(rows)
        assert estimate is not None
        chosen.append(max(each.accuracy or 0 for each in rows) - 50)
        fair.append((estimate.accuracy or 0) - 50)
    assert np.mean(chosen) == pytest.approx(1.867 / np.sqrt(5), abs=0.04)  # expected maximum of 20 normals
    assert np.mean(fair) == pytest.approx(0, abs=0.06)


def test_claims_say_the_unprejudiced_effect() -> None:
    """A claim about the best of a group has the effect out of seed beside it; one about single methods has none."""
    rows = [row("RWP 0.1", (70.0, 60.0, 62.0)), row("RWP 0.2", (60.0, 64.0, 60.0)), row("SGD", (50.0, 51.0, 52.5))]
    group = {"a": {"best_of": "RWP *"}, "b": {"method": "SGD"}}
    single = {"a": {"method": "RWP 0.1"}, "b": {"method": "SGD"}}
    found = [
        Better.model_validate({"name": "better", "text": "x", "pairs": [pair]}).verdict(Evidence(rows, METHODS, NOISE))
        for pair in (group, single)
    ]
    assert found[0].effect == pytest.approx(64 - 51.1666667)
    assert found[0].unprejudiced == pytest.approx((60 + 60 + 62) / 3 - 51.1666667)
    assert found[1].unprejudiced is None


def test_tables_of_one_title_say_whose_they_are() -> None:
    """Two suites of a collection that ask for the same table have it under their names; the title of one alone stays."""
    same = filled(title="Best", rows=["SGD"], columns=["clean"])
    sheets = asked_tables(
        [same, same.replace(batch_norm="recalibrated"), same.replace(suite="other"), same.replace(title="Own")]
    )
    assert [sheet.title.partition(" (")[0] for sheet in sheets] == [
        f"{same.suite}: Best",
        f"{same.suite}: Best",
        "other: Best",
        "Own",
    ]


@pytest.mark.parametrize(
    ("lines", "unit", "message"),
    [
        ("1,d,b,m,n,70\n1,d,b,o,n,71\n1,d,b,m,n,72\n", "", "line 4 gives the number of line 2 again"),
        ("1,d,b,m,n,98\n1,d,b,o,n,0.97\n", "", "line 3 is below 1 %, and line 2 above it"),
        ("1,d,b,m,n,0.98\n", "", "line 2 is below 1 %: say unit"),
        ("1,d,b,m,n,98\n", ", unit: fraction", "line 2 is above 1, and no fraction"),
    ],
)
def test_numbers_given_twice_and_in_two_units_are_refused(
    write_suite: Callable[..., Path], registry: Registry, lines: str, unit: str, message: str
) -> None:
    """A number that stands twice, and a fraction that nothing says is one, is an error with its line."""
    path = write_suite(TINY + f"reference: {{file: printed.csv{unit}}}\n")
    (path.parent / "printed.csv").write_text("table,dataset,backbone,method,noise,accuracy\n" + lines)
    with pytest.raises(SuiteError, match=message):
        load_suite(path, registry)


def test_fractions_are_shown_in_percent(write_suite: Callable[..., Path], registry: Registry) -> None:
    """With `unit: fraction` a number and its standard deviation are a hundred times as large."""
    path = write_suite(TINY + "reference: {file: printed.csv, unit: fraction}\n")
    (path.parent / "printed.csv").write_text("dataset,backbone,method,noise,accuracy,weight_std\nd,b,m,n,0.97,0.01\n")
    reference = load_suite(path, registry).reference
    assert reference is not None
    (row,) = reference.tables[""]
    assert (row.accuracy, row.weight_std) == (97.0, 1.0)
