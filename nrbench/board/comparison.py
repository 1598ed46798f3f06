"""Comparisons of two leaderboards: what became of the rows that both have."""

from __future__ import annotations

from collections.abc import Iterator

from nrbench.base.component import Frozen
from nrbench.base.errors import UsageError
from nrbench.base.statistics import Interval, paired
from nrbench.board.leaderboard import Leaderboard
from nrbench.families.row import Row


class Change(Frozen):
    """A row of two leaderboards: its labels, and what the second has more than the first."""

    method: str
    noise: str
    backbone: str
    dataset: str
    selection: str
    batch_norm: str
    first: float | None
    """Accuracy in percent; null without a result."""
    second: float | None
    difference: float | None
    """Percentage points, the second less the first."""
    interval: Interval | None
    """95 % t interval of the differences, paired over the seeds that both have."""

    @property
    def resolved(self) -> bool:
        """Whether the interval does not hold 0."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


class Comparison(Frozen):
    """Two leaderboards beside each other."""

    changes: tuple[Change, ...]
    """Of every row that both have, in the order of the first."""
    first_alone: tuple[str, ...]
    """Rows that the second lacks."""
    second_alone: tuple[str, ...]
    differ_in: tuple[str, ...]
    """In what they were computed otherwise: precision, environments."""

    def regressions(self, points: float) -> list[Change]:
        """Return the rows of which the second has lost a result, or more than so many points: resolved, or from one seed."""
        return [
            each
            for each in self.changes
            if (each.first is not None and each.second is None)
            or (each.difference is not None and each.difference < -points and (each.resolved or each.interval is None))
        ]


def compared(first: Leaderboard, second: Leaderboard) -> Comparison:
    """Return what two leaderboards have in common and in what they differ; raise `UsageError` without a common row."""
    ours = {_labels(row): row for row in first.rows}
    theirs = {_labels(row): row for row in second.rows}
    both = [labels for labels in ours if labels in theirs]
    if not both:
        raise UsageError(
            "the two leaderboards have no row in common: labels of methods, noise, backbones and data sets differ"
        )
    return Comparison(
        changes=tuple(_change(ours[labels], theirs[labels], level=max(first.level, second.level)) for labels in both),
        first_alone=tuple(", ".join(labels) for labels in ours if labels not in theirs),
        second_alone=tuple(", ".join(labels) for labels in theirs if labels not in ours),
        differ_in=tuple(_differ(first, second)),
    )


def _labels(row: Row) -> tuple[str, ...]:
    return row.method, row.noise, row.backbone, row.dataset, row.selection, row.batch_norm


def _change(first: Row, second: Row, *, level: float) -> Change:
    pairs = zip(first.by_seed, second.by_seed, strict=False)
    differences = [b - a for a, b in pairs if a is not None and b is not None]
    whole = first.status == second.status == "ok"
    estimate = paired(differences, level=level) if differences and whole else None
    return Change(
        **dict(zip(("method", "noise", "backbone", "dataset", "selection", "batch_norm"), _labels(first), strict=True)),
        first=first.accuracy if first.status == "ok" else None,
        second=second.accuracy if second.status == "ok" else None,
        difference=estimate.effect if estimate else None,
        interval=estimate.interval if estimate else None,
    )


def _differ(first: Leaderboard, second: Leaderboard) -> Iterator[str]:
    if first.precision != second.precision:
        yield f"precision: {first.precision} and {second.precision}"
    if first.environments != second.environments:
        yield "environments: other versions or processors computed them"
