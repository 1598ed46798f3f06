"""The leaderboard on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from nrbench.base.errors import printable
from nrbench.families.sheet import Entry, Head, Line, Sheet, heads, text_lines
from nrbench.report.page import Page

_STYLES = {
    "best": "bold green",
    "second": "underline",
    "failed": "red",
    "supported": "green",
    "contradicted": "red",
    "undecided": "yellow",
}
_LABEL, _SENTENCE, _BETWEEN, _EDGES = 18, 40, 3, 2
"""Widths of labels and of sentences, what is between two columns, and what the edges of a table take."""
_TIGHT_LABEL, _TIGHT_WORD, _TIGHT_BETWEEN = 14, 6, 1
"""The same where columns are many, and the letters of the longest word in their headings."""


def print_page(console: Console, page: Page, *, brief: bool = False) -> None:
    """Print who leads and what a reader should know; unless it is to be brief, before it the main sheets."""
    for sheet in () if brief else page.main:
        console.print(*_fitting(sheet, console.width), sep="\n")
        for note in sheet.notes:
            console.print(Text(printable(note), style="dim"))
    if not brief:
        legend = (
            "Accuracy in %, ± over noise draws ± over seeds; bold: not told from the highest mean of its column at 5 %."
        )
        for fact in (legend, *page.facts):
            console.print(Text(printable(fact), style="dim"))
    for sentence in page.lead:
        console.print(Text(printable(sentence), style="bold"))
    for flag in page.flags:
        console.print(Text(f"! {printable(flag)}", style="yellow"))


def print_table(console: Console, title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of texts as it fits, in parts where it is too wide; the first column is aligned left, numbers right."""
    first, *rest = headers
    console.print(*_fitting(Sheet(title, first, heads(*rest), text_lines(rows)), console.width), sep="\n")


def _fitting(sheet: Sheet, width: int) -> Iterator[Table]:
    """Yield a sheet as it fits into a width: whole, or without its small print, or in parts of as many columns as fit."""
    labels, room = _longest(sheet), width - _EDGES
    label, widths = min(_LABEL, labels), _widths(sheet, _BETWEEN)
    if label + sum(widths) > room:
        terse = _terse(sheet)
        if min(_TIGHT_LABEL, labels) + sum(_widths(terse, _TIGHT_BETWEEN)) <= room:
            yield _grid(terse, room, tight=True)
            return
    for part in sheet.fitting(widths, room - label):
        yield _grid(part, room)


def _longest(sheet: Sheet) -> int:
    return max(len(sheet.first), *(len(_label(line)) for line in sheet.lines), 0)


def _terse(sheet: Sheet) -> Sheet:
    """Return a sheet without its small print, with long words of its headings cut, but no numbers."""
    columns = [Head(" ".join(map(_cut, head.label.split())), head.group, head.noise) for head in sheet.heads]
    lines = [
        Line(line.label, tuple(Entry(entry.text, styles=entry.styles) for entry in line.entries), line.group)
        for line in sheet.lines
    ]
    return Sheet(sheet.title, sheet.first, tuple(columns), tuple(lines))


def _cut(word: str) -> str:
    return f"{word[: _TIGHT_WORD - 1]}…" if word.isalpha() and len(word) > _TIGHT_WORD else word


def _widths(sheet: Sheet, between: int) -> list[int]:
    return [between + _width(sheet, index) for index in range(len(sheet.heads))]


def _width(sheet: Sheet, column: int) -> int:
    """Return how wide a column has to be: headings and texts break between words, numbers do not."""
    head = sheet.heads[column]
    if head.wide:
        return _SENTENCE
    texts = [text for line in sheet.lines for text in (line.entries[column].text, *line.entries[column].below)]
    whole = texts if sheet.is_numeric(column) else [word for text in texts for word in text.split()]
    return max(map(len, (*f"{head.label} {head.group}".split(), *whole)), default=0)


def _allotted(sheet: Sheet, room: int, *, tight: bool) -> Iterator[int]:
    """Yield how wide each column is, that of the labels first; what is left of the room is shared by what each lacks.

    Left to rich, a heading that could break keeps its width and takes the last letters of one that cannot.
    """
    label, between = (_TIGHT_LABEL, _TIGHT_BETWEEN) if tight else (_LABEL, _BETWEEN)
    longest, narrow = _longest(sheet), _widths(sheet, 0)
    left = room - between * len(narrow) - sum(narrow)
    labels = min(longest, label if len(narrow) > 1 else max(min(_SENTENCE, left), label))
    yield labels
    lacking = [max(_natural(sheet, index) - width, 0) for index, width in enumerate(narrow)]
    spare = max(min(left - labels, sum(lacking)), 0)
    for index, (width, lacks) in enumerate(zip(narrow, lacking, strict=True)):
        more = spare * lacks // (sum(lacking[index:]) or 1)
        spare -= more
        yield width + more


def _natural(sheet: Sheet, column: int) -> int:
    """Return how wide a column is that breaks nothing."""
    head, entries = sheet.heads[column], [line.entries[column] for line in sheet.lines]
    texts = (head.group, *head.label.split("\n"), *(text for entry in entries for text in (entry.text, *entry.below)))
    return max(len(printable(text)) for text in texts)


def _grid(sheet: Sheet, room: int, *, tight: bool = False) -> Table:
    grid = Table(
        title=Text(printable(sheet.title)),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0) if tight else (0, 1),
    )
    label, *widths = _allotted(sheet, room, tight=tight)
    grid.add_column(printable(sheet.first), width=label, overflow="fold")
    for index, (head, width) in enumerate(zip(sheet.heads, widths, strict=True)):
        above = f"{head.group}\n{head.label}" if head.group else head.label
        grid.add_column(
            Text("\n".join(map(printable, above.split("\n")))),
            justify="right" if sheet.is_numeric(index) else "left",
            overflow="fold",
            width=width,
        )
    for line in sheet.lines:
        grid.add_row(Text(_label(line)), *map(_cell, line.entries))
    return grid


def _label(line: Line) -> str:
    return printable(f"{line.group}, {line.label}" if line.group else line.label)


def _cell(entry: Entry) -> Group | Text:
    style = " ".join(_STYLES[style] for style in entry.styles if style in _STYLES) or "default"
    first = Text(printable(entry.text), style=style)
    return Group(first, *(Text(printable(text), style="dim") for text in entry.below)) if entry.below else first
