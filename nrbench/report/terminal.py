"""The terminal: progress on standard error, tables on standard output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rich import box
from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from nrbench.board.leaderboard import Leaderboard
from nrbench.board.tables import PivotCell, PivotTable
from nrbench.report.cost import Cost, Place
from nrbench.report.pivots import (
    accuracy_text,
    chosen_text,
    claim_groups,
    effect_texts,
    pivot_notes,
    pivot_title,
    printed_text,
    spread_text,
)
from nrbench.report.table import (
    RANKING_HEADERS,
    Entry,
    Table,
    failures,
    printable,
    provenance,
    ranking_rows,
    ranking_title,
    tables,
)
from nrbench.suite.suite import Benchmark

_STYLES = {"best": "bold green", "second": "underline", "": ""}


def print_leaderboard(console: Console, board: Leaderboard, suite: Benchmark, costs: Mapping[Place, Cost]) -> None:
    """Print every table of a leaderboard, its rankings and what it was computed with."""
    for table in tables(board, suite, costs):
        for part in _fitting(table, console.width):
            console.print(_method_table(part))
    for pivot in board.tables:
        for columns in _column_parts(len(pivot.columns), console.width, entry=_PRINTED_WIDTH):
            console.print(_pivot_table(pivot, columns))
        for note in pivot_notes(pivot):
            console.print(Text(note, style="dim"))
    for title, claims in claim_groups(board.claims).items():
        rows = [
            (
                f"{row.claim}: {printable(row.text)}",
                row.measured.reading,
                row.measured.verdict,
                *effect_texts(row.measured),
            )
            for row in claims
        ]
        console.print(plain_table(title, ("claim", "reading", "verdict", "effect", "95 % interval"), rows))
        for row in (row for row in claims if row.measured.reason):
            console.print(Text(f"{row.claim} is undecided: {printable(row.measured.reason)}", style="dim"))
    for ranking in board.rankings:
        console.print(plain_table(ranking_title(ranking), RANKING_HEADERS, list(ranking_rows(ranking))))
    console.print(
        Text("Accuracy in %, ± over noise draws ± over seeds; shared letters: not resolved at 5 %.", style="dim")
    )
    console.print(Text(provenance(board), style="dim"))
    for flag in (*board.flags, *failures(board)):
        console.print(Text(f"! {flag}", style="yellow"))


_METHOD_WIDTH, _ENTRY_WIDTH, _PRINTED_WIDTH, _COST_WIDTH = 18, 13, 18, 8


def _column_parts(count: int, width: int, *, entry: int) -> Iterator[slice]:
    """Yield as many columns of a width at a time as fit beside the names of methods."""
    room = max(1, (width - _METHOD_WIDTH - 2) // entry)
    yield from (slice(start, start + room) for start in range(0, count, room))


def _fitting(table: Table, width: int) -> Iterator[Table]:
    """Yield a table in parts of as many columns as fit into a width."""
    for part in _column_parts(len(table.columns), width - _COST_WIDTH, entry=_ENTRY_WIDTH):
        lines = [replace(line, entries=line.entries[part]) for line in table.lines]
        yield replace(table, columns=table.columns[part], lines=tuple(lines))


def _pivot_table(table: PivotTable, columns: slice) -> RichTable:
    grid = RichTable(
        title=Text(pivot_title(table)), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    grid.add_column("", max_width=_METHOD_WIDTH, overflow="fold")
    for group, label in zip(table.groups[columns], table.columns[columns], strict=True):
        grid.add_column(Text(f"{group}\n{label}" if group else label, justify="right"), justify="right")
    for line in table.lines:
        name = Text(f"{line.group}, {line.label}" if line.group else line.label)
        grid.add_row(name, *map(_pivot_cell, line.cells[columns]))
    return grid


def _pivot_cell(cell: PivotCell | None) -> Group:
    if cell is None:
        return Group("")
    style = " ".join(["bold green"] * cell.bold + ["underline"] * cell.underlined) or "default"
    value = Text(accuracy_text(cell), style="red" if cell.accuracy is None else style, justify="right")
    below = [spread_text(cell, digits=1), chosen_text(cell), printed_text(cell, digits=1)]
    return Group(value, *(Text(text, style="dim", justify="right") for text in below if text))


def _method_table(table: Table) -> RichTable:
    grid = RichTable(
        title=Text(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    grid.add_column("method", max_width=_METHOD_WIDTH, overflow="fold")
    for column in table.columns:
        grid.add_column(Text(column), justify="right")
    grid.add_column(Text("passes\n×time"), justify="right")
    for line in table.lines:
        cost = Group(Text(_number(line.passes), justify="right"), Text(_number(line.relative_time, "×"), style="dim"))
        grid.add_row(Text(line.method), *map(_entry, line.entries), cost)
    return grid


def _number(value: float | None, before: str = "") -> str:
    return "" if value is None else f"{before}{value:.2f}"


def _entry(entry: Entry) -> Group:
    failed = entry.row is not None and entry.row.status != "ok"
    value = Text(entry.value, style="red" if failed else _STYLES[entry.standing], justify="right")
    return Group(value, Text(entry.spread(digits=1), style="dim", justify="right"))


def plain_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> RichTable:
    """Return a table of texts; the first column is aligned left, numbers right."""
    grid = RichTable(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, header in enumerate(headers):
        numeric = bool(rows) and all(not row[index] or row[index][0] in "0123456789-" for row in rows)
        grid.add_column(Text(header), justify="right" if index and numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(Text, row))
    return grid
