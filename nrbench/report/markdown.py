"""The leaderboard as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tabulate import tabulate

from nrbench.board.leaderboard import Leaderboard
from nrbench.board.scope import ClaimRow
from nrbench.board.tables import PivotCell, PivotTable
from nrbench.report.cost import Cost, Place
from nrbench.report.pivots import (
    CLAIM_EXPLANATION,
    accuracy_text,
    chosen_text,
    claim_groups,
    claim_headers,
    claim_texts,
    pivot_notes,
    pivot_title,
    printed_text,
    spread_text,
)
from nrbench.report.table import (
    EXPLANATION,
    RANKING_HEADERS,
    SCOPE,
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


def markdown_text(board: Leaderboard, suite: Benchmark, costs: Mapping[Place, Cost]) -> str:
    """Return a page with the rankings, a table for each backbone and data set, and what the numbers mean."""
    return "\n".join(_parts(board, suite, costs)) + "\n"


def _parts(board: Leaderboard, suite: Benchmark, costs: Mapping[Place, Cost]) -> Iterator[str]:
    yield f"# {escape(board.suite)}\n"
    if suite.description:
        yield escape(suite.description) + "\n"
    yield from (f"- **{escape(flag)}**" for flag in (*board.flags, *failures(board)))
    for pivot in board.tables:
        yield f"\n## {escape(pivot_title(pivot))}\n"
        yield _pivot(pivot)
        yield "\n" + " ".join(map(escape, pivot_notes(pivot)))
    for title, claims in claim_groups(board.claims).items():
        yield f"\n## {escape(title)}\n"
        yield _grid(list(map(claim_texts, claims)), claim_headers(claims)) + "\n"
        yield from (f"- **{escape(row.claim)}** {escape(row.text)}{_source(row)}{_why(row)}" for row in claims)
        yield f"\n{CLAIM_EXPLANATION}"
    for table in tables(board, suite, costs):
        yield f"\n## {escape(table.title)}\n"
        yield _grid(_rows(table), ("method", *table.columns, "passes", "time"))
    for ranking in board.rankings:
        yield f"\n## {escape(ranking_title(ranking))}\n"
        yield _grid(list(ranking_rows(ranking)), RANKING_HEADERS)
    yield f"\n{EXPLANATION} Best in bold, second best in italics. `passes` is forward-backward passes per training step,"
    yield "`time` the training time divided by that of the baseline on the same machine. Methods that share a"
    yield "group letter are not resolved (paired t test over seeds, Holm at 5 %)."
    yield f"{SCOPE} {escape(provenance(board))}"


def _pivot(table: PivotTable) -> str:
    headers = [
        f"{group}: {label}" if group else label for group, label in zip(table.groups, table.columns, strict=True)
    ]
    rows = [
        (f"{line.group}: {line.label}" if line.group else line.label, *map(_pivot_cell, line.cells))
        for line in table.lines
    ]
    return _grid(rows, ("", *headers))


def _pivot_cell(cell: PivotCell | None) -> str:
    if cell is None:
        return ""
    bold, line = "**" if cell.bold else "", ("<u>", "</u>") if cell.underlined else ("", "")
    value = f"{line[0]}{bold}{accuracy_text(cell)}{bold}{line[1]} {spread_text(cell)}".rstrip()
    below = [escape(text) for text in (chosen_text(cell), printed_text(cell)) if text]
    return "<br>".join([value, *(f"<sub>{text}</sub>" for text in below)])


def _source(row: ClaimRow) -> str:
    return f" ({escape(row.source)})" if row.source else ""


def _why(row: ClaimRow) -> str:
    return f" Undecided: {escape(row.measured.reason)}." if row.measured.reason else ""


def _rows(table: Table) -> list[tuple[str, ...]]:
    return [
        (
            line.method,
            *map(_cell, line.entries),
            "" if line.passes is None else f"{line.passes:.2f}",
            "" if line.relative_time is None else f"{line.relative_time:.2f}",
        )
        for line in table.lines
    ]


def _cell(entry: Entry) -> str:
    mark = {"best": "**", "second": "*", "": ""}[entry.standing]
    return f"{mark}{entry.value}{mark} {entry.spread()}".rstrip()


def _grid(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    labelled = [[escape(row[0]), *row[1:]] for row in rows]
    return tabulate(labelled, [escape(header) for header in headers], tablefmt="pipe", disable_numparse=True)


def escape(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", printable(text))
