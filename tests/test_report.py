from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

import nrbench
from nrbench import Leaderboard, Options, Suite
from nrbench.console import print_leaderboard
from nrbench.report import write_reports
from nrbench.report.cost import costs
from nrbench.report.csv import csv_text
from nrbench.report.html import html_page
from nrbench.report.markdown import markdown_text

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
