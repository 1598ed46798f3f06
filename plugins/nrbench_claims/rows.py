"""Rows that a claim is checked against: found by their labels, and compared with the certainty that they allow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from nrbench import (
    LEVEL,
    Component,
    Estimate,
    Evidence,
    Row,
    RowFilter,
    Series,
    best,
    chooses,
    covered,
    fisher,
    matches,
    paired,
    parameter,
    pearson,
    unprejudiced,
    welch,
)

Term = tuple[float, Row]
"""A row and its weight in a sum."""
Label = Literal["method", "dataset", "backbone", "noise"]


class NoRowError(Exception):
    """What a claim speaks of is not there, or has no number; the message says what."""


@dataclass(frozen=True)
class RowSet(ABC):
    """Rows, what their labels stand for, and how certain a weighted sum of them is."""

    rows: Sequence[Row]
    methods: Mapping[str, Component]
    """The methods of the suite by label."""
    noise: Mapping[str, Component]
    """Its noise models by label."""
    series: Sequence[Series] = ()
    """What probes measured."""
    confidence: float = LEVEL
    """That intervals and tests are made with."""
    rounding: ClassVar[float] = 0.0
    """By how many percentage points a number may be off that was rounded."""

    @abstractmethod
    def estimate(self, terms: Sequence[Term], *, beyond: float = 0.0) -> Estimate:
        """Return by how much the weighted sum of some rows' accuracies, each of which has a number, exceeds a number."""

    def unprejudiced(self) -> RowSet | None:
        """Return the same rows with an unprejudiced choice of the best of a group; None where no seed can be left out."""
        return None

    @abstractmethod
    def correlation(self, x: Sequence[Row], y: Sequence[Row], *, against: float) -> Estimate | None:
        """Return by how much the correlation of two lists of accuracies exceeds a number; None if there is none."""

    def strength(self, row: Row, field: str) -> float:
        """Return a parameter of a row's method; raise `NoRowError` when it has none of that name."""
        return _number(self.methods, row.method, field)

    def level(self, row: Row, field: str) -> float:
        """Return a parameter of a row's noise model; raise `NoRowError` when it has none of that name."""
        return _number(self.noise, row.noise, field)

    def found(self, *filters: RowFilter) -> list[Row]:
        """Return the rows that all filters mean; raise `NoRowError` when there is none, or none for one of the patterns."""
        rows = _once(covered(self.rows, filters))
        for name, patterns in _said(filters):
            for pattern in patterns if len(patterns) > 1 and name in ("best_of", "backbone") else ():
                label = "method" if name == "best_of" else name
                if not any(matches([pattern], getattr(row, label)) for row in rows):
                    raise NoRowError(f"there is no row for {name.replace('_', ' ')} {pattern}")
        if not rows:
            what = ", ".join(f"{name.replace('_', ' ')} {' or '.join(patterns)}" for name, patterns in _said(filters))
            raise NoRowError(f"there is no row for {what or 'anything'}")
        return rows

    def best(self, rows: Sequence[Row]) -> Row | None:
        """Return the best of some rows; None unless each of them has a number to choose by."""
        return best(rows)

    def group(self, *filters: RowFilter) -> tuple[list[Row], Row]:
        """Return the rows that all filters mean and the best of them; raise `NoRowError` where one has no result."""
        rows = self.found(*filters)
        chosen = self.best(rows)
        if chosen is None:
            lacking = next((row for row in rows if row.chosen_by is None), rows[0])
            raise NoRowError(f"{_named(lacking)} has no result")
        return rows, chosen

    def one(self, *filters: RowFilter) -> Row:
        """Return the row that is meant, the best of a group where one is asked for; raise `NoRowError` else."""
        rows = self.found(*filters)
        if len(rows) > 1 and not chooses(filters):
            raise NoRowError(
                f"there are {len(rows)} rows like {_named(rows[0])}; ask for the best of them, or say which"
            )
        chosen = rows[0] if len(rows) == 1 else self.group(*filters)[1]
        if chosen.accuracy is None:
            raise NoRowError(f"{_named(chosen)} has no result")
        return chosen

    def each(self, where: RowFilter, fields: Iterable[Label]) -> Iterator[RowFilter]:
        """Yield `where` narrowed to every combination of labels of some fields that it covers, in the order of the rows.

        A pattern that matches nothing is yielded too, so that what it stands for is found to be missing.
        """
        names = tuple(fields)
        here = covered(self.rows, [where])
        found = dict.fromkeys(tuple(getattr(row, name) for name in names) for row in here)
        narrowed = [where.replace(**{n: (label,) for n, label in zip(names, labels, strict=True)}) for labels in found]
        for name in names:
            for pattern in getattr(where, name):
                if not any(matches([pattern], getattr(row, name)) for row in here):
                    narrowed.append(where.replace(**{name: (pattern,)}))
        yield from narrowed or [where]


class MeasuredRows(RowSet):
    """Rows of a leaderboard: seeds and draws are the same for all of them, so that differences are paired."""

    def estimate(self, terms: Sequence[Term], *, beyond: float = 0.0) -> Estimate:
        columns = [[weight * (value or 0.0) for value in _by_seed(row)] for weight, row in terms]
        sums = [sum(sorted(values)) - beyond for values in zip(*columns, strict=True)]
        return paired(sums, level=self.confidence)

    def correlation(self, x: Sequence[Row], y: Sequence[Row], *, against: float) -> Estimate | None:
        seeds = zip(zip(*map(_by_seed, x), strict=True), zip(*map(_by_seed, y), strict=True), strict=True)
        found = [pearson(first, second) for first, second in seeds]
        known = [r - against for r in found if r is not None]
        return paired(known, level=self.confidence) if known and len(known) == len(found) else None

    def unprejudiced(self) -> RowSet | None:
        return UnprejudicedRows(self.rows, self.methods, self.noise, self.series, self.confidence)


class UnprejudicedRows(MeasuredRows):
    """The same rows, but for every seed the best of a group is the one that is best by the other seeds."""

    def best(self, rows: Sequence[Row]) -> Row | None:
        return best(rows) if len(rows) == 1 else unprejudiced(rows)


class PrintedRows(RowSet):
    """Printed means and standard deviations over seeds: nothing is paired, and every test is Welch's."""

    rounding = 0.005
    """Means are printed to 0.01: a difference of two that is no larger may be none before rounding."""

    def estimate(self, terms: Sequence[Term], *, beyond: float = 0.0) -> Estimate:
        weights: dict[int, float] = {}  # a row that stands in several terms is one number, and may cancel out
        for weight, row in terms:
            weights[id(row)] = weights.get(id(row), 0.0) + weight
        rows = {id(row): row for _, row in terms}
        left = [(weight, rows[key]) for key, weight in weights.items() if weight]
        means = [(weight, row.accuracy or 0.0, row.weight_std, row.seeds) for weight, row in left]
        return welch([*means, (-1.0, beyond, 0.0, 2)] if beyond else means)

    def correlation(self, x: Sequence[Row], y: Sequence[Row], *, against: float) -> Estimate | None:
        r = pearson([row.accuracy or 0.0 for row in x], [row.accuracy or 0.0 for row in y])
        return None if r is None else fisher(r, len(x), against=against)


def rows_of(evidence: Evidence, tables: Sequence[str]) -> RowSet:
    """Return what a claim is checked against; of printed numbers those of some tables or all.

    What is printed again counts once.
    """
    if evidence.tables is None:
        return MeasuredRows(evidence.rows, evidence.methods, evidence.noise, evidence.series, evidence.level)
    chosen: dict[tuple[str, ...], Row] = {}
    for table, rows in evidence.tables.items():
        for row in rows if not tables or table in tables else ():
            chosen.setdefault((row.dataset, row.backbone, row.noise, row.method), row)
    return PrintedRows(tuple(chosen.values()), evidence.methods, evidence.noise)


def _once(rows: Iterable[Row]) -> list[Row]:
    """Return rows without those of the same cells, which a training has that stands under two labels."""
    return list({row.cells or (row.method, *row.column): row for row in reversed([*rows])}.values())[::-1]


def _by_seed(row: Row) -> tuple[float, ...]:
    known = tuple(value for value in row.by_seed if value is not None)
    if len(known) < len(row.by_seed):
        raise NoRowError(f"{_named(row)} lacks the result of a seed")
    return known


def _named(row: Row) -> str:
    return f"{row.method} under {row.noise} on {row.backbone}"


def _said(filters: Sequence[RowFilter]) -> list[tuple[str, tuple[str, ...]]]:
    return [(name, found) for each in filters for name in RowFilter.model_fields if (found := getattr(each, name))]


def _number(components: Mapping[str, Component], label: str, field: str) -> float:
    try:
        value = parameter(components[label], field)
    except LookupError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoRowError(f"{label} has no number called {field}")
    return float(value)
