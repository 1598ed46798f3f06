"""Rankings: the methods of a suite over all of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from nrbench.base.component import Frozen
from nrbench.base.statistics import Interval, holm, interquartile_mean, letters, mean, paired_p, ranks, t_interval
from nrbench.families.row import BatchNorm, Column
from nrbench.jobs.results import Result, score
from nrbench.suite.suite import Suite


class Rank(Frozen):
    """Where a method stands over all columns of a ranking."""

    method: str
    mean_rank: float
    interval: Interval | None
    """95 % t interval over the seeds."""
    group: str
    """Methods that share a letter are not resolved: paired t test over seeds of the column means, Holm at 5 %.

    Empty where 26 letters do not suffice.
    """
    mean_accuracy: float | None
    """None unless every cell has a result."""
    interquartile_mean: float | None
    complete: bool
    """Whether every cell has a result; one that has none counts as the worst of its column."""
    leading: bool | None = None
    """Whether it is the first or shares a letter with it; without letters, whether a test against the first leaves it."""


class Ranking(Frozen):
    """The methods of a suite under one selection and one treatment of BatchNorm, best first."""

    suite: str
    selection: str
    batch_norm: BatchNorm
    columns: int
    rows: tuple[Rank, ...]


def rankings(suite: Suite, found: Mapping[tuple[Column, str], Sequence[Result]], *, level: float) -> Iterable[Ranking]:
    """Yield a ranking of a suite's methods for each selection and treatment of BatchNorm."""
    for selection in suite.selections:
        for mode in suite.evaluation.modes:
            columns = [c for c in suite.columns() if c.selection == selection and c.batch_norm == mode]
            yield Ranking(
                suite=suite.name,
                selection=selection,
                batch_norm=mode,
                columns=len(columns),
                rows=tuple(_ranked(suite, columns, found, level)),
            )


def _ranked(
    suite: Suite, columns: Sequence[Column], found: Mapping[tuple[Column, str], Sequence[Result]], level: float
) -> list[Rank]:
    methods, seeds = list(suite.methods), range(suite.seed_count)
    scores = {(c, m): [score(cell) for cell in found[c, m]] for c in columns for m in methods}
    by_seed: dict[str, list[float]] = {method: [] for method in methods}
    for seed in seeds:
        placed = [ranks([scores[column, method][seed] for method in methods]) for column in columns]
        for index, method in enumerate(methods):
            by_seed[method].append(mean(ranked[index] for ranked in placed))
    complete = {m: all(value is not None for c in columns for value in scores[c, m]) for m in methods}
    known = {m: [value for c in columns for value in scores[c, m] if value is not None] for m in methods}
    # rounded where floating point ends, so that equal sums of right answers are equal means
    column_means = {m: [round(mean(known[m][s :: suite.seed_count]), 9) for s in seeds] for m in methods if complete[m]}
    order = sorted(methods, key=lambda m: (mean(by_seed[m]), methods.index(m)))
    whole = [m for m in order if complete[m]]
    p_values = {(a, b): paired_p(column_means[a], column_means[b]) for a, b in combinations(whole, 2)}
    different = holm(p_values, level=1 - level)
    groups = letters(whole, different)
    if not groups:
        different = holm({pair: p for pair, p in p_values.items() if whole[0] in pair}, level=1 - level)
    behind = {method for pair in different if whole[0] in pair for method in pair} - {whole[0]} if whole else set()
    return [
        Rank(
            method=m,
            mean_rank=mean(by_seed[m]),
            interval=t_interval(by_seed[m], level=level, lowest=1, highest=len(methods)),
            group=groups.get(m, ""),
            leading=complete[m] and m not in behind,
            mean_accuracy=mean(known[m]) if complete[m] else None,
            interquartile_mean=interquartile_mean(known[m]) if complete[m] else None,
            complete=complete[m],
        )
        for m in order
    ]
