from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

import nrbench
from nrbench import Leaderboard, Options, Registry, Suite
from nrbench.board.comparison import compared
from nrbench.board.leading import with_leaders
from nrbench.report import drawing, figures, pictures
from nrbench.report.cost import costs
from nrbench.report.csv import csv_text
from nrbench.report.figures import Panel
from nrbench.report.html import html_page
from nrbench.report.markdown import markdown_text
from nrbench.report.page import page_of
from nrbench.report.plots import Curve
from nrbench.report.terminal import print_page, print_table
from nrbench.report.write import write_reports
from tests.conftest import TINY
from tests.payloads import PAYLOADS


def two_decimals(value: float) -> str:
    """A number as a person rounds it: a half away from zero, as it stands in decimal digits."""
    return str(Decimal(f"{value:.9f}").quantize(Decimal("0.01"), ROUND_HALF_UP))


@pytest.fixture
def finished(tiny: Suite, tmp_path: Path) -> tuple[Leaderboard, Suite, Path]:
    options = Options(out=tmp_path)
    return nrbench.run(tiny, options=options), tiny, tmp_path


class Outline(HTMLParser):
    """The tags and attributes of a page, but for classes, which are words of its own, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(sorted(name for name, _ in attrs if name != "class"))))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    return parser


def relabel(suite: Suite, label: str) -> Suite:
    """The suite with a label in every place that takes one, and no sections: their labels are looked at below."""
    sections = ("datasets", "backbones", "selections", "methods", "noise")
    renamed = {
        section: {
            label if index == 0 else key: value for index, (key, value) in enumerate(getattr(suite, section).items())
        }
        for section in sections
    }
    return suite.replace(**renamed, description=label, report=suite.report.replace(sections=()))


def test_every_file_is_written_and_the_same_every_time(finished: tuple[Leaderboard, Suite, Path]) -> None:
    """JSON, CSV, Markdown, LaTeX and HTML come out, with the same bytes on every build."""
    board, suite, out = finished
    store = Options(out=out).store
    files = [out / "tiny" / f"leaderboard.{kind}" for kind in ("json", "csv", "md", "tex", "html")]
    before = {path: path.read_bytes() for path in files}
    assert write_reports(board, suite, store, out / "tiny").board == board
    write_reports(Leaderboard.of(suite, store), suite, store, out / "tiny")
    assert {path: path.read_bytes() for path in files} == before


@pytest.mark.parametrize("payload", PAYLOADS)
def test_labels_are_text_in_html(finished: tuple[Leaderboard, Suite, Path], payload: str) -> None:
    """A label with markup adds no element and no attribute that a harmless one lacks, and is shown as it is."""
    _, suite, out = finished
    store = Options(out=out).store
    pages = []
    for label in (payload, "harmless"):
        named = relabel(suite, label)
        pages.append(outline(html_page(page_of(Leaderboard.of(named, store), named, store), {})))
    assert pages[0].tags == pages[1].tags
    assert payload in "".join(pages[0].text)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_labels_are_text_in_markdown(finished: tuple[Leaderboard, Suite, Path], payload: str) -> None:
    """Rendered by an independent Markdown parser, the page has the same elements whatever the labels are."""
    _, suite, out = finished
    store = Options(out=out).store
    render = MarkdownIt("commonmark", {"html": True}).enable("table")
    pages = []
    for label in (payload, "harmless"):
        named = relabel(suite, label)
        pages.append(outline(render.render(markdown_text(page_of(Leaderboard.of(named, store), named, store)))))
    assert [tag for tag, _ in pages[0].tags] == [tag for tag, _ in pages[1].tags]
    assert payload in "".join(pages[0].text)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_csv_field_is_a_formula(finished: tuple[Leaderboard, Suite, Path], payload: str) -> None:
    """A text that a spreadsheet would calculate is defused, whatever column it is in; numbers stay numbers."""
    _, suite, out = finished
    named = relabel(suite, payload)
    board = Leaderboard.of(named, Options(out=out).store)
    rows = list(csv.DictReader(io.StringIO(csv_text(board))))
    assert len(rows) == len(board.rows)
    shown = payload if payload[0] not in "=+-@" else f"'{payload}"
    for name in ("dataset", "backbone", "method", "noise", "selection", "difference_to"):
        assert shown in {row[name] for row in rows}
        assert not any(row[name].startswith(("=", "+", "-", "@")) for row in rows)
    assert [float(row["accuracy"]) for row in rows] == [row.accuracy for row in board.rows]


def test_the_page_needs_nothing_from_elsewhere(finished: tuple[Leaderboard, Suite, Path]) -> None:
    """The HTML asks for no file, and runs the scripts that come with nrbench and no other, as its policy says by their hashes."""
    board, suite, out = finished
    page = html_page(page_of(board, suite, Options(out=out).store), {})
    tags = [tag for tag, _ in outline(page).tags]
    assert not {*tags} & {"link", "iframe", "object"}
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == tags.count("script") == 2
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    policy = " ".join(f"'sha256-{each}'" for each in hashes)
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {policy} \"" in page
    page = page.replace(scripts[0], "")  # a library, whose messages name its pages
    assert page.count("<img ") == page.count('<img src="data:image/svg+xml;base64,') > 0
    assert not any(word in page for word in ("http:", "https:", "url(", "@import"))


def table_of(markdown: str, title: str) -> list[list[str]]:
    """The cells of the table under a heading: its header, and its lines."""
    section = markdown.partition(f"\n### {title}\n")[2].partition("\n### ")[0]
    header, _, *lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in (header, *lines)]


def test_markdown_tables_hold_every_number(finished: tuple[Leaderboard, Suite, Path]) -> None:
    """Each accuracy stands in the cell of its method and noise, in bold what is not told from the best, that underlined."""
    board, suite, out = finished
    text = markdown_text(page_of(board, suite, Options(out=out).store))
    for selection in suite.selections:
        header, *lines = table_of(text, f"MLP on synthetic ({selection})")
        assert (header[1:4], [line[0] for line in lines]) == (list(suite.noise), list(suite.methods))
        for column, noise in enumerate(header[1:4], start=1):
            rows = {r.method: r for r in board.rows if (r.noise, r.selection) == (noise, selection)}
            highest = max(two_decimals(row.accuracy) for row in rows.values())
            for method, *cells in lines:
                number = two_decimals(rows[method].accuracy)
                bold = f"**{number}**" if rows[method].leading else number
                assert cells[column - 1].split()[0] == (f"<u>{bold}</u>" if number == highest else bold)


def test_the_best_of_a_table_of_ones_own_is_bold_in_markdown(study: tuple[Leaderboard, Suite, Path]) -> None:
    """In each column of a suite's own table all is bold that cannot be told from the highest number, as the board says."""
    board, suite, out = study
    text = markdown_text(page_of(board, suite, Options(out=out).store))
    for table in board.tables:
        _, *lines = table_of(text, f"{table.title} ({table.selection})")
        for column in range(len(table.columns)):
            cells = [line.cells[column] for line in table.lines]
            bold = [line[column + 1].startswith("**") for line in lines]
            assert bold == [cell.bold for cell in cells if cell]
            assert all(
                cell.bold for cell in cells if cell and cell.accuracy == max(c.accuracy or 0 for c in cells if c)
            )


def test_html_tables_hold_every_number(finished: tuple[Leaderboard, Suite, Path]) -> None:
    """Each accuracy stands in the cell of its method and noise, and what is not told from the best of its column is marked."""
    board, suite, out = finished
    page = html_page(page_of(board, suite, Options(out=out).store), {})
    for selection in suite.selections:
        table = page.partition(f">MLP on synthetic ({selection})</h3>")[2].partition("</table>")[0]
        lines = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table)
        shown = {
            label: re.findall(r'<td[^>]*>(?:<span class="(best|best second)">)?([0-9.]+)<', cells)
            for label, cells in lines
        }
        assert list(shown) == list(suite.methods)
        for column, noise in enumerate(suite.noise):
            rows = {row.method: row for row in board.rows if (row.noise, row.selection) == (noise, selection)}
            highest = max(two_decimals(row.accuracy) for row in rows.values())
            for method, row in rows.items():
                number = two_decimals(row.accuracy)
                style = "best second" if number == highest else "best" if row.leading else ""
                assert shown[method][column] == (style, number)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_terminal_table_fits_its_width(finished: tuple[Leaderboard, Suite, Path], width: int) -> None:
    """No line is longer than the terminal, and at 80 columns every number is there."""
    board, suite, out = finished
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_page(console, page_of(board, suite, Options(out=out).store))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    if width >= 80:
        assert all(two_decimals(row.accuracy) in text for row in board.rows)


@pytest.mark.parametrize("width", range(77, 110, 3))
def test_no_word_of_a_heading_is_cut_on_a_terminal(width: int) -> None:
    """A heading of several words gives way before one of a single word loses its last letter."""
    titles = ("mean rank", "95 % interval", "mean accuracy", "IQM", "told from the first", "group")
    rows = [
        ("Quadratic RWP σ=0.2", "1.67", "1.00 to 2.45", "74.48", "76.91", "", "a"),
        ("SGD", "2", "1 to 2", "1", "1", "yes", "ab"),
    ]
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_table(console, "title", ("method", *titles), rows)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert {
        *["method", "mean", "rank", "interval", "accuracy", "IQM", "told", "from", "the", "first", "group", "ab"]
    } <= {*text.split()}
    assert max(map(len, text.splitlines())) <= width


def test_costs_are_the_seconds_of_the_epochs(finished: tuple[Leaderboard, Suite, Path]) -> None:
    """The cost of a method is the mean over seeds of the seconds of its epochs; it stands in cost.json and in no table."""
    board, suite, out = finished
    store = Options(out=out).store
    spent = {cost.method: cost.seconds for cost in costs(suite, store)}
    for method in suite.methods:
        keys = [training.key for labels, training in suite.own_trainings.items() if labels.method == method]
        records = [store.training(key).record() for key in keys]
        assert [len(record.epochs) for record in records] == [3, 3]
        seconds = [sum(epoch.seconds for epoch in record.epochs) for record in records]
        assert spent[method] == pytest.approx(sum(seconds) / 2)
    rows = json.loads((out / "tiny" / "cost.json").read_text())["rows"]
    assert {row["method"]: row["seconds"] for row in rows} == pytest.approx(spent)
    assert "time" not in {
        head.label for sheet in page_of(board, suite, Options(out=out).store).sheets for head in sheet.heads
    }


# -- tables of one's own, claims and figures --------------------------------------------------------------------------

STUDY = """\
reference: {file: printed.csv, seeds: 3}
tables:
  - title: Both methods
    note: A note.
    rows: [SGD, {label: best RWP, best_of: "RWP*"}]
    columns: [clean, {group: noisy, label: "0.1", noise: Gaussian 0.1}, {group: noisy, label: "0.3", noise: Gaussian 0.3}]
    staircase: sigma
    reference: "1"
claims:
  C1:
    name: better
    text: RWP is better under noise.
    source: section 1
    pairs: [{a: {method: RWP}, b: {method: SGD}, under: {noise: "Gaussian *"}}]
  C2: {name: better, text: Something missing., pairs: [{a: {method: SAM}, b: {method: SGD}}]}
"""
PRINTED = """\
# numbers that nobody measured
table,dataset,backbone,method,noise,accuracy,noise_std,weight_std
1,synthetic,MLP,SGD,clean,50.0,,1.0
1,synthetic,MLP,SGD,Gaussian 0.1,40.0,2.0,1.5
1,synthetic,MLP,RWP tuned,Gaussian 0.1,60.0,2.5,0.5
"""


@pytest.fixture
def study(write_suite: Callable[..., Path], registry: Registry, tmp_path: Path) -> tuple[Leaderboard, Suite, Path]:
    path = write_suite(TINY + STUDY)
    (path.parent / "printed.csv").write_text(PRINTED)
    suite = nrbench.load_suite(path, registry)
    assert isinstance(suite, Suite)
    return nrbench.run(suite, options=Options(out=tmp_path)), suite, tmp_path


def test_a_table_stands_with_the_printed_numbers_in_every_report(study: tuple[Leaderboard, Suite, Path]) -> None:
    """HTML, Markdown and the terminal show each number of the table, what was chosen, and the printed one beside it."""
    board, suite, out = study
    made = page_of(board, suite, Options(out=out).store)
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_page(console, made)
    page, terminal = html_page(made, {}), console.file.getvalue()  # type: ignore[attr-defined]
    markdown = markdown_text(made)
    assert [table.selection for table in board.tables] == ["chosen", "last"]
    for table in board.tables:
        cells = [cell for line in table.lines for cell in line.cells if cell]
        assert len(cells) == 6
        for text in (page, markdown, terminal):
            assert all(two_decimals(cell.accuracy) in text for cell in cells)
    for text in (page, terminal, markdown):
        assert "60.00 ±2.50 ±0.50" in text
        assert "A note." in text
    first = board.tables[0].lines[1].cells[1]
    assert first is not None
    assert first.reference is not None
    row = next(row for row in board.rows if (row.method, row.noise, row.selection) == ("RWP", "Gaussian 0.1", "chosen"))
    assert (first.accuracy, first.method) == (row.accuracy, "RWP")
    uncertainty = ((row.weight_std or 0) ** 2 / 2 + 0.5**2 / 3) ** 0.5
    assert first.reference.difference == pytest.approx(((row.accuracy or 0) - 60.0) / uncertainty)
    assert (
        "| method " not in markdown.partition("## Ranking")[0]
    )  # its own tables stand in the place of the automatic ones


def test_claims_stand_in_every_report(study: tuple[Leaderboard, Suite, Path]) -> None:
    """Each claim is shown with its sentence, its reading and its verdict, and one about a missing row with the reason."""
    board, suite, out = study
    made = page_of(board, suite, Options(out=out).store)
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_page(console, made)
    first, second = board.claims[:2]
    assert (first.claim, first.measured.of, second.measured.verdict) == ("C1", 2, "undecided")
    assert first.reference is not None
    assert (first.reference.agree, first.reference.verdict) == (0, "undecided")  # RWP itself was not printed
    page = "".join(outline(html_page(made, {})).text)
    for text in (page, markdown_text(made), console.file.getvalue()):  # type: ignore[attr-defined]
        assert "RWP is better under noise." in text
        assert first.measured.reading.partition(",")[0] in text
        assert "there is no row for method SAM" in text
    document = json.loads(board.json_bytes())
    jsonschema.validate(document, Leaderboard.json_schema())
    assert document["claims"][0]["measured"]["agree"] == first.measured.agree
    assert Leaderboard.from_json(board.json_bytes()).json_bytes() == board.json_bytes()


def test_figures_are_the_same_every_time_and_hold_the_labels(study: tuple[Leaderboard, Suite, Path]) -> None:
    """A table whose columns are strengths of one noise model is drawn, with equal bytes on every build, as well-formed XML."""
    board, suite, out = study
    made = page_of(board, suite, Options(out=out).store)
    first, second = list(made.figures.values()), list(page_of(board, suite, Options(out=out).store).figures.values())
    assert [figure.title for figure in first[:2]] == [f"Strength: Both methods ({each})" for each in ("chosen", "last")]
    assert first == second
    texts = [element.text for element in ElementTree.fromstring(first[0].svg).iter() if element.tag.endswith("}text")]
    assert {"SGD", "best RWP", "gaussian: sigma", "accuracy, %"} <= set(texts)
    page = html_page(made, {})
    assert page.count('<img src="data:image/svg+xml;base64,') == len(first) > 2
    assert (out / "tiny" / "figures" / "2.svg").read_bytes() == first[1].svg


@pytest.mark.parametrize("payload", [*PAYLOADS, "$x^$", "_hidden"])
def test_labels_are_text_in_tables_claims_and_figures(study: tuple[Leaderboard, Suite, Path], payload: str) -> None:
    """Titles, notes, sentences and labels with markup add nothing to the page, the Markdown or the picture."""
    _, suite, out = study
    store = Options(out=out).store
    render = MarkdownIt("commonmark", {"html": True}).enable("table")
    found = []
    for label in (payload, "harmless"):
        pivot = suite.tables[0]
        rows = (pivot.rows[0].replace(label=label), pivot.rows[1].replace(label="other"))
        claims = {label: suite.claims["C1"].replace(text=label, source=label)}
        figures = {label: Curve.model_validate({"seen": label, "y": {"label": label}})}
        tables = (pivot.replace(title=label, note=label, rows=rows),)
        named = suite.replace(tables=tables, claims=claims, figures=figures)
        board = Leaderboard.of(named, store)
        made = page_of(board, named, store)
        markdown = render.render(markdown_text(made))
        curve, strengths = list(made.figures.values())[:2]
        pages = [
            outline(html_page(made, {})),
            outline(markdown),
            *(outline(f.svg.decode()) for f in (curve, strengths)),
        ]
        assert all(label in "".join(page.text) for page in pages[:2])
        found.append([[tag for tag, _ in page.tags] for page in pages[:2]])
        assert all(any(label in text for text in page.text) for page in pages[2:])
        assert all(re.fullmatch("figure-[a-z0-9-]+", stem) for stem, figure in made.figures.items() if figure is curve)
    assert found[0] == found[1]


# -- what was drawn before, and what a notebook shows --------------------------------------------------------------------


def test_a_second_report_draws_nothing(
    study: tuple[Leaderboard, Suite, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged pictures come from the cache with the same bytes; other numbers, or a cache that is damaged, are drawn."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    board, suite, out = study
    store, drawings = Options(out=out).store, []
    original = drawing._rendered
    monkeypatch.setattr(drawing, "_rendered", lambda *given: drawings.append(1) or original(*given))
    first = [figure.svg for figure in page_of(board, suite, store).figures.values()]
    assert len(drawings) == len(first) > 2
    assert [figure.svg for figure in page_of(board, suite, store).figures.values()] == first
    assert len(drawings) == len(first)
    kept = sorted((tmp_path / "cache").rglob("*.json"))
    kept[0].write_bytes(kept[0].read_bytes().replace(b"svg", b"gvs"))
    assert [figure.svg for figure in page_of(board, suite, store).figures.values()] == first
    assert len(drawings) == len(first) + 1
    assert list(page_of(board, suite.replace(tables=()), store).figures)
    assert len(drawings) > len(first) + 1


def test_a_picture_is_kept_under_the_order_of_what_it_shows() -> None:
    """Two pictures of the same lines in another order are two pictures: the legend follows it."""
    panels = [Panel("gaussian", "sigma", {name: [(0.0, 1.0, 0.0)] for name in names}) for names in ("ab", "ba")]
    keys = {pictures._key(partial(figures._draw, panels=[panel]), (1, (1.0, 2.0))) for panel in panels}
    assert len(keys) == 2
    assert None not in keys


def test_pictures_of_strangers_are_drawn_each_time() -> None:
    """What a plugin draws, or a function that is inside of another, is not kept: its code may be anywhere."""
    made = []

    def draw(axes: object, data: int) -> None:
        """Nothing."""

    for function in (draw, partial(draw, data=1), partial(print, end="")):
        pictures.picture(function, lambda: made.append(1) or b"<svg/>", 1, (1.0, 2.0))
        pictures.picture(function, lambda: made.append(1) or b"<svg/>", 1, (1.0, 2.0))
    assert len(made) == 6


def test_a_cache_that_cannot_be_written_is_no_reason_not_to_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: tuple[Leaderboard, Suite, Path]
) -> None:
    """With a file where the cache should be, the page has its pictures all the same."""
    (tmp_path / "cache").write_text("x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    board, suite, out = study
    assert all(
        figure.svg.startswith(b"<?xml") for figure in page_of(board, suite, Options(out=out).store).figures.values()
    )


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_board_in_a_notebook(finished: tuple[Leaderboard, Suite, Path], payload: str) -> None:
    """A notebook shows the tables of the page, number for number; no label adds an element."""
    board, suite, out = finished
    store = Options(out=out).store
    shown = outline(board._repr_html_())
    for sheet in page_of(board, suite, store).main:
        if sheet.title.startswith("MLP on synthetic"):
            texts = [entry.text for line in sheet.lines for entry in line.entries]
            assert all(text in shown.text for text in texts)
            assert sheet.title in shown.text
    named = [outline(Leaderboard.of(relabel(suite, label), store)._repr_html_()) for label in (payload, "harmless")]
    assert named[0].tags == named[1].tags
    assert payload in "".join(named[0].text)


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_board_does_not_depend_on_the_order_of_rows(
    finished: tuple[Leaderboard, Suite, Path], random: Random
) -> None:
    """However the rows of a board lie, its bytes, its leaders and what is compared with another board are the same."""
    board, _, _ = finished
    rows = list(board.rows)
    random.shuffle(rows)
    other = board.model_copy(update={"rows": tuple(rows)})
    assert other.json_bytes() == board.json_bytes()
    assert {(r.column, r.method, r.leading) for r in with_leaders(rows)} == {
        (r.column, r.method, r.leading) for r in board.rows
    }
    changes = {(each.method, each.noise, each.selection): each for each in compared(other, board).changes}
    assert {each.difference for each in changes.values()} == {0.0}
