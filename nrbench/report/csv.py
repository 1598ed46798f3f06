"""The leaderboard as CSV, one line a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
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
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_safe(value) for value in _values(row)] for row in board.rows)
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
