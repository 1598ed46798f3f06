"""The leaderboard on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from nrbench.base.errors import printable
from nrbench.report.page import Page
from nrbench.report.sheet import Entry, Head, Line, Sheet, heads, text_lines

_STYLES = {
    "best": "bold green",
    "second": "underline",
    "failed": "red",
    "supported": "green",
    "contradicted": "red",
    "undecided": "yellow",
}
_LABEL_WIDTH, _SENTENCE_WIDTH, _PADDING = 18, 40, 3


def print_page(console: Console, page: Page) -> None:
    """Print every sheet of a page that is not folded, and what a reader should know."""
    for sheet in (sheet for sheet in page.sheets if not sheet.folded):
        for part in _fitting(sheet, console.width):
            console.print(_grid(part))
        for note in sheet.notes:
            console.print(Text(printable(note), style="dim"))
    console.print(
        Text("Accuracy in %, ± over noise draws ± over seeds; shared letters: not resolved at 5 %.", style="dim")
    )
    for fact in page.facts:
        console.print(Text(printable(fact), style="dim"))
    for flag in page.flags:
        console.print(Text(f"! {printable(flag)}", style="yellow"))


def plain_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table of texts; the first column is aligned left, numbers right."""
    first, *rest = headers
    return _grid(Sheet(title, first, heads(*rest), text_lines(rows)))


def _fitting(sheet: Sheet, width: int) -> Iterator[Sheet]:
    """Yield a sheet in parts of as many columns as fit into a width beside the labels of the lines."""
    widths = [_width(head, [line.entries[x] for line in sheet.lines]) for x, head in enumerate(sheet.heads)]
    label = min(_LABEL_WIDTH, max((len(_label(line)) for line in sheet.lines), default=0))
    start = 0
    while start < len(widths):
        stop, room = start + 1, width - label - widths[start]
        while stop < len(widths) and widths[stop] <= room:
            room -= widths[stop]
            stop += 1
        part = slice(start, stop)
        lines = tuple(Line(line.label, line.entries[part], line.group) for line in sheet.lines)
        yield Sheet(f"{sheet.title}, continued" if start else sheet.title, sheet.first, sheet.heads[part], lines)
        start = stop


def _width(head: Head, entries: Sequence[Entry]) -> int:
    if head.wide:
        return _SENTENCE_WIDTH + _PADDING
    words = f"{head.label} {head.group}".split()  # headings break between words, numbers do not
    texts = [*words, *(text for entry in entries for text in (entry.text, *entry.below))]
    return max(map(len, texts), default=0) + _PADDING


def _grid(sheet: Sheet) -> Table:
    grid = Table(
        title=Text(printable(sheet.title)),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    narrow = len(sheet.heads) > 1
    grid.add_column(printable(sheet.first), max_width=_LABEL_WIDTH if narrow else None, overflow="fold")
    for index, head in enumerate(sheet.heads):
        texts = [line.entries[index].text for line in sheet.lines]
        justify = "right" if all(not text or text[0] in "0123456789-+" or head.noise for text in texts) else "left"
        label = f"{head.group}\n{head.label}" if head.group else head.label
        grid.add_column(Text(label), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for line in sheet.lines:
        grid.add_row(Text(_label(line)), *map(_cell, line.entries))
    return grid


def _label(line: Line) -> str:
    return printable(f"{line.group}, {line.label}" if line.group else line.label)


def _cell(entry: Entry) -> Group | Text:
    style = " ".join(_STYLES[style] for style in entry.styles if style in _STYLES) or "default"
    first = Text(printable(entry.text), style=style)
    return Group(first, *(Text(printable(text), style="dim") for text in entry.below)) if entry.below else first
