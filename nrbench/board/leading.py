"""Who leads: the rows of a column that cannot be told from the best of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nrbench.base.statistics import LEVEL, holm, paired_p
from nrbench.families.row import Column, Row


def leaders(rows: Sequence[Row], *, level: float = LEVEL) -> set[str]:
    """Return the methods, of rows of one column, that cannot be told from the one with the highest accuracy.

    Student's paired test over seeds against that one, Holm at 5 % over the others. Of a single seed nothing can be told
    apart, and of a column without a whole row nobody leads.
    """
    whole = [row for row in rows if row.status == "ok" and row.accuracy is not None]
    if not whole:
        return set()
    best = max(whole, key=lambda row: row.accuracy or 0.0)
    others: dict[str, float] = {row.method: _p(best, row) for row in whole if row is not best}
    behind: set[str] = holm(others, level=1 - level)
    return {row.method for row in whole} - behind


def _p(first: Row, second: Row) -> float:
    pairs = zip(first.by_seed, second.by_seed, strict=False)  # a collection's suites may have other numbers of seeds
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return paired_p([a for a, _ in known], [b for _, b in known])


def with_leaders(rows: Iterable[Row], *, level: float = LEVEL) -> list[Row]:
    """Return rows of any columns, in their order, with what `Row.leading` says."""
    listed = list(rows)
    columns: dict[Column, list[Row]] = {}
    for row in listed:
        columns.setdefault(row.column, []).append(row)
    leading = {column: leaders(own, level=level) for column, own in columns.items()}
    return [
        row.replace(leading=row.method in leading[row.column])
        if row.status == "ok" and row.accuracy is not None
        else row
        for row in listed
    ]
