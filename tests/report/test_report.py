from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

import nrbench
from nrbench import Leaderboard, Options, Registry, Suite
from nrbench.report.cost import costs
from nrbench.report.csv import csv_text
from nrbench.report.figures import figures
from nrbench.report.html import html_page
from nrbench.report.markdown import markdown_text
from nrbench.report.terminal import print_leaderboard
from nrbench.report.write import write_reports
from tests.conftest import TINY

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b `c` **d** [e](f)",
    "=HYPERLINK(1)",
    "+1",
    "@x",
    "-2",
]


@pytest.fixture
def finished(tiny: Suite, tmp_path: Path) -> tuple[Leaderboard, Suite, Path]:
    options = Options(out=tmp_path)
    return nrbench.run(tiny, options=options), tiny, tmp_path


class Outline(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(sorted(name for name, _ in attrs))))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    return parser


def relabel(suite: Suite, label: str) -> Suite:
    """The suite with a label in every place that takes one."""
    sections = ("datasets", "backbones", "selections", "methods", "noise")
    renamed = {
        section: {
            label if index == 0 else key: value for index, (key, value) in enumerate(getattr(suite, section).items())
        }
        for section in sections
    }
    return suite.replace(**renamed, description=label)


def test_every_file_is_written_and_the_same_every_time(finished: tuple[Leaderboard, Suite, Path]) -> None:
    """JSON, CSV, Markdown and HTML come out, with the same bytes on every build."""
    board, suite, out = finished
    store = Options(out=out).store
    files = write_reports(board, suite, store, out / "tiny")
    assert set(files) == {"json", "csv", "md", "html"}
    before = {path: path.read_bytes() for path in files.values()}
    write_reports(Leaderboard.of(suite, store), suite, store, out / "tiny")
    assert {path: path.read_bytes() for path in files.values()} == before
    assert (out / "tiny" / "cost.json").exists()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_labels_are_text_in_html(finished: tuple[Leaderboard, Suite, Path], payload: str) -> None:
    """A label with markup adds no element and no attribute that a harmless one lacks, and is shown as it is."""
    _, suite, out = finished
    store = Options(out=out).store
    pages = []
    for label in (payload, "harmless"):
        named = relabel(suite, label)
        pages.append(outline(html_page(Leaderboard.of(named, store), named, costs(named, store))))
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
        pages.append(outline(render.render(markdown_text(Leaderboard.of(named, store), named, costs(named, store)))))
    assert [tag for tag, _ in pages[0].tags] == [tag for tag, _ in pages[1].tags]
    assert payload in "".join(pages[0].text)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_csv_field_is_a_formula(finished: tuple[Leaderboard, Suite, Path], payload: str) -> None:
    """A text that a spreadsheet would calculate is defused; numbers stay numbers."""
    _, suite, out = finished
    named = relabel(suite, payload)
    board = Leaderboard.of(named, Options(out=out).store)
    rows = list(csv.DictReader(io.StringIO(csv_text(board))))
    assert len(rows) == len(board.rows)
    assert {row["method"].removeprefix("'") for row in rows} == {payload, "RWP"}
    assert not any(
        row[name].startswith(("=", "+", "-", "@")) for row in rows for name in ("method", "noise", "dataset")
    )
    assert [float(row["accuracy"]) for row in rows] == [row.accuracy for row in board.rows]


def test_the_page_needs_nothing_from_elsewhere(finished: tuple[Leaderboard, Suite, Path]) -> None:
    """The HTML asks for no file and no script, and holds every number of the table."""
    board, suite, out = finished
    page = html_page(board, suite, costs(suite, Options(out=out).store))
    tags = {tag for tag, _ in outline(page).tags}
    assert not tags & {"script", "link", "img", "iframe"}
    assert not any(word in page for word in ("http:", "https:", "url(", "@import"))
    for row in board.rows:
        assert f"{row.accuracy:.2f}" in page


def test_markdown_tables_hold_every_number(finished: tuple[Leaderboard, Suite, Path]) -> None:
    """Each accuracy stands in a table cell, the best of its column in bold."""
    board, suite, out = finished
    text = markdown_text(board, suite, costs(suite, Options(out=out).store))
    for noise in suite.noise:
        column = [row for row in board.rows if row.noise == noise and row.selection == "last"]
        best = max(row.accuracy or 0 for row in column)
        assert f"**{best:.2f}**" in text
        assert all(f"{row.accuracy:.2f}" in text for row in column)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_terminal_table_fits_its_width(finished: tuple[Leaderboard, Suite, Path], width: int) -> None:
    """No line is longer than the terminal, and at 80 columns every number is there."""
    board, suite, out = finished
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_leaderboard(console, board, suite, costs(suite, Options(out=out).store))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    if width >= 80:
        assert all(f"{row.accuracy:.2f}" in text for row in board.rows)


def test_costs_are_relative_to_the_baseline(finished: tuple[Leaderboard, Suite, Path]) -> None:
    """Training time stands beside the accuracy as a multiple of the baseline's."""
    _, suite, out = finished
    spent = costs(suite, Options(out=out).store)
    assert {place[0]: cost.relative == 1 for place, cost in spent.items()} == {"SGD": True, "RWP": False}
    assert all(cost.seconds > 0 for cost in spent.values())


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
    spent = costs(suite, Options(out=out).store)
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_leaderboard(console, board, suite, spent)
    page, terminal = html_page(board, suite, spent), console.file.getvalue()  # type: ignore[attr-defined]
    markdown = markdown_text(board, suite, spent)
    assert [table.selection for table in board.tables] == ["chosen", "last"]
    for table in board.tables:
        cells = [cell for line in table.lines for cell in line.cells if cell]
        assert len(cells) == 6
        for text in (page, markdown, terminal):
            assert all(f"{cell.accuracy:.2f}" in text for cell in cells)
    for text in (page, terminal):
        assert "60.00 ±2.5" in text
        assert "A note." in text
    assert "**" in markdown
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
    spent = costs(suite, Options(out=out).store)
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_leaderboard(console, board, suite, spent)
    first, second = board.claims[:2]
    assert (first.claim, first.measured.of, second.measured.verdict) == ("C1", 2, "undecided")
    assert first.reference is not None
    assert (first.reference.agree, first.reference.verdict) == (0, "undecided")  # RWP itself was not printed
    page = "".join(outline(html_page(board, suite, spent)).text)
    for text in (page, markdown_text(board, suite, spent), console.file.getvalue()):  # type: ignore[attr-defined]
        assert "RWP is better under noise." in text
        assert first.measured.reading in text
        assert "there is no row for method SAM" in text
    document = json.loads(board.json_bytes())
    jsonschema.validate(document, Leaderboard.json_schema())
    assert document["claims"][0]["measured"]["agree"] == first.measured.agree
    assert Leaderboard.from_json(board.json_bytes()).json_bytes() == board.json_bytes()


def test_figures_are_the_same_every_time_and_hold_the_labels(study: tuple[Leaderboard, Suite, Path]) -> None:
    """A table whose columns are strengths of one noise model is drawn, with equal bytes on every build, as well-formed XML."""
    board, suite, out = study
    first, second = (list(figures(board, suite, [])) for _ in range(2))
    assert [figure.title for figure in first] == ["Both methods (chosen)", "Both methods (last)"]
    assert first == second
    texts = [element.text for element in ElementTree.fromstring(first[0].svg).iter() if element.tag.endswith("}text")]
    assert {"SGD", "best RWP", "gaussian: sigma", "accuracy, %"} <= set(texts)
    page = html_page(board, suite, costs(suite, Options(out=out).store), first)
    assert page.count('<img src="data:image/svg+xml;base64,') == 2
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
        named = suite.replace(tables=(pivot.replace(title=label, note=label, rows=rows),), claims=claims)
        board = Leaderboard.of(named, store)
        drawn = list(figures(board, named, []))
        spent = costs(named, store)
        markdown = render.render(markdown_text(board, named, spent))
        pages = [outline(html_page(board, named, spent, drawn)), outline(markdown), outline(drawn[0].svg.decode())]
        assert all(label in "".join(page.text) for page in pages[:2])
        found.append([[tag for tag, _ in page.tags] for page in pages[:2]])
        assert any(label in text for text in pages[2].text)
    assert found[0] == found[1]
