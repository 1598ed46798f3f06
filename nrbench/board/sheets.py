"""Accuracies as sheets: methods against noise models, what leads a column standing out; for pages and for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from nrbench.base.errors import printable
from nrbench.families.row import BatchNorm, Column, Row
from nrbench.families.sheet import Entry, Head, Line, Sheet, rounded, shown, uncertainties

_MARKS = {"best": "b", "second": "u", "failed": "i"}
"""The HTML elements that styles have in a notebook."""


def treatment(batch_norm: BatchNorm) -> str:
    """Return what a title says of BatchNorm's statistics, where they are not as trained."""
    return "" if batch_norm == "frozen" else ", BatchNorm recalibrated"


def network_title(column: Column) -> str:
    """Return what a table of a column's backbone, data set, selection and treatment of BatchNorm is called."""
    return f"{column.backbone} on {column.dataset} ({column.selection}{treatment(column.batch_norm)})"


def method_sheet(columns: Sequence[Column], rows: Mapping[tuple[Column, str], Row], methods: Sequence[str]) -> Sheet:
    """Return the sheet of methods under columns of one network, each accuracy with both of its uncertainties."""
    grid = [[rows[column, method] for column in columns] for method in methods]
    standings = [_standings(column) for column in zip(*grid, strict=True)]
    lines = []
    for index, (method, own) in enumerate(zip(methods, grid, strict=True)):
        entries = [_accuracy(row, standings[x][index]) for x, row in enumerate(own)]
        passes = next((row.passes_per_step for row in own if row.passes_per_step is not None), None)
        lines.append(Line(method, (*entries, Entry(shown(passes)))))
    noises = tuple(Head(column.noise, noise=column.noise) for column in columns)
    return Sheet(network_title(columns[0]), "method", (*noises, Head("passes")), tuple(lines))


def _accuracy(row: Row, standing: tuple[str, ...]) -> Entry:
    failed = row.status != "ok"
    if row.accuracy is None:
        return Entry(row.status, styles=("failed",))
    below = uncertainties(row.noise_std, row.weight_std) + ((f"({row.status})",) if failed else ())
    styles = ("failed",) if failed else standing
    return Entry(rounded(row.accuracy), below, styles, accuracy=row.accuracy, spread=row.weight_std)  # type: ignore[arg-type]


def _standings(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return how each row of a column stands out: what cannot be told from the highest mean, and that itself."""
    leading = {row.method for row in rows if row.leading}
    highest = max((round(r.accuracy, 2) for r in rows if r.method in leading and r.accuracy is not None), default=None)
    return [
        (("best", "second") if row.accuracy is not None and round(row.accuracy, 2) == highest else ("best",))
        if row.method in leading
        else ()
        for row in rows
    ]


def notebook_html(rows: Sequence[Row]) -> str:
    """Return rows as tables of HTML, one for each network; nothing in a label is markup."""
    by_position = {(row.column, row.method): row for row in rows}
    networks: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        networks.setdefault(row.column[:4], []).append(row)
    sheets = []
    for own in networks.values():
        columns = list(dict.fromkeys(row.column for row in own))
        whole = [
            method
            for method in dict.fromkeys(row.method for row in own)
            if all((column, method) in by_position for column in columns)
        ]
        sheets.append(method_sheet(columns, by_position, whole))
    return "".join(map(_table, sheets))


def _table(sheet: Sheet) -> str:
    heads = "".join(f"<th>{_text(label)}</th>" for label in (sheet.first, *(head.label for head in sheet.heads)))
    body = "".join(
        f"<tr><th>{_text(line.label)}</th>{''.join(f'<td>{_entry(entry)}</td>' for entry in line.entries)}</tr>"
        for line in sheet.lines
    )
    return f"<table><caption>{_text(sheet.title)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _entry(entry: Entry) -> str:
    text = _text(entry.text)
    for mark in (_MARKS[style] for style in entry.styles if style in _MARKS):
        text = f"<{mark}>{text}</{mark}>"
    return " ".join([text, *(f"<small>{_text(below)}</small>" for below in entry.below)])


def _text(value: str) -> str:
    return escape(printable(value))
