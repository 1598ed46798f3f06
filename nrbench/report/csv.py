"""The leaderboard as CSV: long, one line a row, and wide, one line a method."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from nrbench.base.errors import printable
from nrbench.board.leaderboard import Leaderboard
from nrbench.families.row import Row
from nrbench.jobs.store import Store
from nrbench.suite.suite import Benchmark, Suite

PARTS = {
    "interval": ("interval_low", "interval_high"),
    "difference": ("difference_to", "difference", "difference_low", "difference_high"),
}
"""The columns of fields that are more than one value; every other field of a row is a column of its own."""
COLUMNS = [
    column for field in Row.model_fields for column in PARTS.get(field, (field,)) if not field.endswith("by_seed")
]


def csv_text(board: Leaderboard) -> str:
    """Return the rows of a leaderboard."""
    return csv_lines(COLUMNS, (_values(row) for row in board.rows))


def wide_csv_text(board: Leaderboard) -> str:
    """Return the accuracies of a leaderboard, a line for each method and a column for each of what it is judged under."""
    columns = dict.fromkeys(row.column for row in board.rows)
    accuracy = {(row.method, row.column): row.accuracy for row in board.rows}
    methods = dict.fromkeys(row.method for row in board.rows)
    lines = ([method, *(accuracy.get((method, column)) for column in columns)] for method in methods)
    return csv_lines(["method", *(" | ".join(column) for column in columns)], lines)


def csv_lines(head: Iterable[Any], lines: Iterable[Iterable[Any]]) -> str:
    """Return lines of values as CSV; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
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
        elif not field.endswith("by_seed"):
            yield " ".join(map(str, value)) if isinstance(value, tuple) else value


def _safe(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


PROBED = ("probe", "number", "method", "backbone", "dataset", "seed", "epoch", "value", "reason")
"""The columns of probes.csv; a probe that failed has a reason and no value."""


def probes_csv_text(benchmark: Benchmark, store: Store) -> str:
    """Return everything that the probes of a suite measured, a line a number; nothing where there is no probe."""
    lines = [line for part in benchmark.parts if part.probes for line in _measured(part, store)]
    return csv_lines(PROBED, lines) if lines else ""


def _measured(suite: Suite, store: Store) -> Iterator[tuple[Any, ...]]:
    for (method, backbone, dataset, seed), training in suite.own_trainings.items():
        for number, epoch in enumerate(store.training(training.key).record().epochs, start=1):
            for label, probe in suite.probes.items():
                where = (method, backbone, dataset, seed, number)
                for name, value in sorted(epoch.measured.get(probe.fingerprint, {}).items()):
                    yield label, name, *where, value, None
                if probe.fingerprint in epoch.failed:
                    yield label, None, *where, None, epoch.failed[probe.fingerprint]
