"""Details: every row with its seeds, draws and cells, and the configuration of everything on a board."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from nrbench.base.component import canonical_json
from nrbench.base.errors import printable
from nrbench.board.leaderboard import Leaderboard
from nrbench.families.row import Row, Shown
from nrbench.families.sheet import Entry, Head, Line, Sheet, heads, rounded, shown
from nrbench.jobs.results import CellFailure, CellResult, accuracies
from nrbench.jobs.store import Store
from nrbench.suite.suite import SECTIONS, Benchmark

MOST_DETAILED = 400
"""Rows whose draws are shown; of larger boards they are in the store."""
KEPT = ("noise", "accuracy")
"""Columns that stand there also where all of their entries are the same."""
NOTE = (
    "A chip is one noisy copy of one trained network; yield is the share of chips within one point of the same weights "
    "without noise; differences to the baseline are paired over seeds and draws, with their 95 % interval. A method leads "
    "where it cannot be told from the highest mean of its column."
)


def every_row(board: Leaderboard, store: Store) -> Iterator[Sheet]:
    """Yield a sheet of all rows, whose columns are the fields of a row that are `Shown`, with the details of each row."""
    fields: Mapping[str, Shown] = {
        name: each for name, info in Row.model_fields.items() for each in info.metadata if isinstance(each, Shown)
    }
    columns = {name: [shown(getattr(row, name), how.digits) for row in board.rows] for name, how in fields.items()}
    alike = {
        name: texts[0]
        for name, texts in columns.items()
        if len(texts) > 1 and len(set(texts)) == 1 and name not in KEPT
    }
    left = [name for name in fields if name not in alike and name != "method"]
    detailed = len(board.rows) <= MOST_DETAILED
    lines = []
    for index, row in enumerate(board.rows):
        entries = [Entry(columns[name][index]) for name in left]
        if detailed:
            entries[0] = Entry(entries[0].text, details=tuple(_details(row, board, store)))
        lines.append(Line(row.method, tuple(entries)))
    said = ", ".join(f"{fields[name].heading} {text}" for name, text in alike.items() if text)
    notes = (NOTE, f"The same in all rows: {said}.") if said else (NOTE,)
    heading = heads(*(fields[name].heading for name in left))
    yield Sheet("Every row", fields["method"].heading, heading, tuple(lines), notes, folded=True)


def _details(row: Row, board: Leaderboard, store: Store) -> Iterator[str]:
    """Yield what each seed gave, draw by draw, and the command that computes the row again."""
    for seed, key in enumerate(row.cells):
        result = store.result(key)
        if isinstance(result, CellResult):
            draws = " ".join(rounded(accuracy) for accuracy in accuracies(result))
            yield f"seed {seed}: epoch {result.epoch}, draws {draws}; cell {key[:12]}"
    yield f"nrbench run {shlex.quote(board.suite)} --only {shlex.quote(printable(row.method))}"


def configuration(benchmark: Benchmark) -> Iterator[Sheet]:
    """Yield a sheet of every component under its label, and one of how each suite trains."""
    lines = [
        Line(label, (Entry(section), Entry(canonical_json(component.model_dump(mode="json")))))
        for section in SECTIONS
        for label, component in benchmark.section(section).items()
    ]
    lines += [
        Line(part.name, (Entry(name), Entry(canonical_json(getattr(part, name).model_dump(mode="json")))))
        for part in benchmark.parts
        for name in ("recipe", "evaluation")
    ]
    yield Sheet(
        "Configuration", "label", (Head("section"), Head("as it was resolved", wide=True)), tuple(lines), folded=True
    )


def failures_text(board: Leaderboard, store: Store) -> str:
    """Return the failures of a board, each reason once with the rows that it costs and its traceback; nothing without any."""
    found: dict[CellFailure, list[str]] = {}
    for row in (row for row in board.rows if row.reason):
        for seed, key in enumerate(row.cells):
            result = store.result(key)
            if isinstance(result, CellFailure):
                found.setdefault(result, []).append(f"{', '.join((row.method, *row.column))}, seed {seed}")
    parts = (
        "\n".join(map(printable, [*rows, "", *(failure.traceback or failure.message).splitlines(), failure.log or ""]))
        for failure, rows in found.items()
    )
    return ("\n" + "-" * 80 + "\n").join(parts)
