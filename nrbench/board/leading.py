"""Who leads: the rows of a column that cannot be told from the best of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nrbench.base.statistics import LEVEL, holm, paired_p
from nrbench.families.row import Column, Row


def leaders(rows: Sequence[Row], *, level: float = LEVEL) -> set[int]:
    """Return the positions of those rows that cannot be told from the one with the highest accuracy.

    Student's paired test over seeds against that one, Holm at 5 % over the others. Of a single seed nothing can be told
    apart, and where no row is whole nobody leads.
    """
    whole = {at: row for at, row in enumerate(rows) if row.status == "ok" and row.accuracy is not None}
    if not whole:
        return set()
    best = max(whole, key=lambda at: whole[at].accuracy or 0.0)
    others: dict[int, float] = {at: _p(whole[best], row) for at, row in whole.items() if at != best}
    behind: set[int] = holm(others, level=1 - level)
    return whole.keys() - behind


def _p(first: Row, second: Row) -> float:
    pairs = zip(first.by_seed, second.by_seed, strict=False)  # a collection's suites may have other numbers of seeds
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return paired_p([a for a, _ in known], [b for _, b in known])


def with_leaders(rows: Iterable[Row], *, level: float = LEVEL) -> list[Row]:
    """Return rows of any columns, in their order, with what `Row.leading` says."""
    listed = list(rows)
    columns: dict[Column, list[int]] = {}
    for at, row in enumerate(listed):
        columns.setdefault(row.column, []).append(at)
    leading = {own[at] for own in columns.values() for at in leaders([listed[i] for i in own], level=level)}
    return [
        row.replace(leading=at in leading) if row.status == "ok" and row.accuracy is not None else row
        for at, row in enumerate(listed)
    ]
