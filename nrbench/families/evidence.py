"""Evidence: the rows that a claim is checked against, measured here or printed elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from nrbench.base.component import Component, parameter
from nrbench.base.statistics import Estimate, fisher, paired, pearson, welch
from nrbench.families.row import Labelled, Place, best, chooses, covered, matches

Term = tuple[float, Labelled]
"""A row and its weight in a sum."""
Label = Literal["method", "dataset", "backbone", "noise"]


class NoRowError(Exception):
    """What a claim speaks of is not there, or has no number; the message says what."""


@dataclass(frozen=True)
class Evidence(ABC):
    """Rows, what their labels stand for, and how certain a weighted sum of them is."""

    rows: Sequence[Labelled]
    methods: Mapping[str, Component]
    """The methods of the suite by label."""
    noise: Mapping[str, Component]
    """Its noise models by label."""
    rounding: ClassVar[float] = 0.0
    """By how many percentage points a number may be off that was rounded."""

    @abstractmethod
    def estimate(self, terms: Sequence[Term]) -> Estimate:
        """Return the weighted sum of some rows' accuracies, every one of which has a number."""

    @abstractmethod
    def correlation(self, x: Sequence[Labelled], y: Sequence[Labelled], *, against: float) -> Estimate | None:
        """Return by how much the correlation of two lists of accuracies exceeds a number; None if there is none."""

    def strength(self, row: Labelled, field: str) -> float:
        """Return a parameter of a row's method; raise `NoRowError` when it has none of that name."""
        return _number(self.methods, row.method, field)

    def level(self, row: Labelled, field: str) -> float:
        """Return a parameter of a row's noise model; raise `NoRowError` when it has none of that name."""
        return _number(self.noise, row.noise, field)

    def found(self, *places: Place) -> list[Labelled]:
        """Return the rows that all places mean; raise `NoRowError` when there is none, or none for one of the patterns."""
        rows = covered(self.rows, places)
        for name, patterns in _said(places):
            for pattern in patterns if len(patterns) > 1 and name in ("best_of", "backbone") else ():
                label = "method" if name == "best_of" else name
                if not any(matches([pattern], getattr(row, label)) for row in rows):
                    raise NoRowError(f"there is no row for {name.replace('_', ' ')} {pattern}")
        if not rows:
            what = ", ".join(f"{name.replace('_', ' ')} {' or '.join(patterns)}" for name, patterns in _said(places))
            raise NoRowError(f"there is no row for {what or 'anything'}")
        return rows

    def group(self, *places: Place) -> tuple[list[Labelled], Labelled]:
        """Return the rows that all places mean and the best of them; raise `NoRowError` where one has no result."""
        rows = self.found(*places)
        chosen = best(rows)
        if chosen is None:
            raise NoRowError(f"{_named(next(row for row in rows if row.chosen_by is None))} has no result")
        return rows, chosen

    def one(self, *places: Place) -> Labelled:
        """Return the row that is meant, the best of a group where one is asked for; raise `NoRowError` else."""
        rows = self.found(*places)
        if len(rows) > 1 and not chooses(places):
            raise NoRowError(
                f"there are {len(rows)} rows like {_named(rows[0])}; ask for the best of them, or say which"
            )
        chosen = rows[0] if len(rows) == 1 else self.group(*places)[1]
        if chosen.accuracy is None:
            raise NoRowError(f"{_named(chosen)} has no result")
        return chosen

    def each(self, where: Place, fields: Iterable[Label]) -> Iterator[Place]:
        """Yield `where` narrowed to every combination of labels of some fields that it covers, in the order of the rows.

        A pattern that matches nothing is yielded too, so that what it stands for is found to be missing.
        """
        names = tuple(fields)
        here = covered(self.rows, [where])
        found = dict.fromkeys(tuple(getattr(row, name) for name in names) for row in here)
        places = [where.replace(**{n: (label,) for n, label in zip(names, labels, strict=True)}) for labels in found]
        for name in names:
            for pattern in getattr(where, name):
                if not any(matches([pattern], getattr(row, name)) for row in here):
                    places.append(where.replace(**{name: (pattern,)}))
        yield from places or [where]


class Measured(Evidence):
    """Rows of a leaderboard: seeds and draws are the same for all of them, so that differences are paired."""

    def estimate(self, terms: Sequence[Term]) -> Estimate:
        columns = [[weight * (value or 0.0) for value in _by_seed(row)] for weight, row in terms]
        return paired([sum(sorted(values)) for values in zip(*columns, strict=True)])

    def correlation(self, x: Sequence[Labelled], y: Sequence[Labelled], *, against: float) -> Estimate | None:
        seeds = zip(zip(*map(_by_seed, x), strict=True), zip(*map(_by_seed, y), strict=True), strict=True)
        found = [pearson(first, second) for first, second in seeds]
        known = [r - against for r in found if r is not None]
        return paired(known) if known and len(known) == len(found) else None


class Published(Evidence):
    """Printed means and standard deviations over seeds: nothing is paired, and every test is Welch's."""

    rounding = 0.005
    """Means are printed to 0.01: a difference of two that is no larger may be none before rounding."""

    def estimate(self, terms: Sequence[Term]) -> Estimate:
        weights: dict[int, float] = {}  # a row that stands in several terms is one number, and may cancel out
        for weight, row in terms:
            weights[id(row)] = weights.get(id(row), 0.0) + weight
        rows = {id(row): row for _, row in terms}
        left = [(weight, rows[key]) for key, weight in weights.items() if weight]
        return welch([(weight, row.accuracy or 0.0, row.weight_std, row.seeds) for weight, row in left])

    def correlation(self, x: Sequence[Labelled], y: Sequence[Labelled], *, against: float) -> Estimate | None:
        r = pearson([row.accuracy or 0.0 for row in x], [row.accuracy or 0.0 for row in y])
        return None if r is None else fisher(r, len(x), against=against)


def _by_seed(row: Labelled) -> tuple[float, ...]:
    values: tuple[float | None, ...] = row.by_seed  # type: ignore[attr-defined]  # rows of a leaderboard have it
    known = tuple(value for value in values if value is not None)
    if len(known) < len(values):
        raise NoRowError(f"{_named(row)} lacks the result of a seed")
    return known


def _named(row: Labelled) -> str:
    return f"{row.method} under {row.noise} on {row.backbone}"


def _said(places: Sequence[Place]) -> list[tuple[str, tuple[str, ...]]]:
    return [(name, found) for place in places for name in Place.model_fields if (found := getattr(place, name))]


def _number(components: Mapping[str, Component], label: str, field: str) -> float:
    try:
        value = parameter(components[label], field)
    except LookupError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoRowError(f"{label} has no number called {field}")
    return float(value)
