"""The leaderboard as CSV: long, one line a row, and wide, one line a method."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from nrbench.base.errors import printable
from nrbench.board.leaderboard import Leaderboard
from nrbench.families.row import Row

PARTS = {
    "interval": ("interval_low", "interval_high"),
    "difference": ("difference_to", "difference", "difference_low", "difference_high"),
}
"""The columns of fields that are more than one value; every other field of a row is a column of its own."""
COLUMNS = [column for field in Row.model_fields for column in PARTS.get(field, (field,)) if field != "by_seed"]


def csv_text(board: Leaderboard) -> str:
    """Return the rows of a leaderboard; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return _written(COLUMNS, (_values(row) for row in board.rows))


def wide_csv_text(board: Leaderboard) -> str:
    """Return the accuracies of a leaderboard, a line for each method and a column for each of what it is judged under."""
    columns = dict.fromkeys(row.column for row in board.rows)
    accuracy = {(row.method, row.column): row.accuracy for row in board.rows}
    methods = dict.fromkeys(row.method for row in board.rows)
    lines = ([method, *(accuracy.get((method, column)) for column in columns)] for method in methods)
    return _written(["method", *(" | ".join(column) for column in columns)], lines)


def _written(head: Iterable[Any], lines: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([_safe(value) for value in line] for line in (head, *lines))
    return out.getvalue()


def _values(row: Row) -> Iterator[Any]:
    for field in Row.model_fields:
        value = getattr(row, field)
        if field == "interval":
            yield from value or (None, None)
        elif field == "difference":
            yield from (value.to, value.mean, *(value.interval or (None, None))) if value else (None,) * 4
        elif field != "by_seed":
            yield " ".join(map(str, value)) if isinstance(value, tuple) else value


def _safe(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
