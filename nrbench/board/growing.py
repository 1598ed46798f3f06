"""Growing studies: whether seeds have told apart what they are added for, and where a study ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nrbench.base.component import Frozen
from nrbench.base.sequential import level_at_end, repeated_levels
from nrbench.base.statistics import mean, paired_p
from nrbench.families.row import Column, matches
from nrbench.jobs.results import Result, score
from nrbench.jobs.store import Store
from nrbench.suite.seeds import GrownSeeds
from nrbench.suite.suite import Benchmark, MethodPair, Suite


class Growth(Frozen):
    """Seeds that were added one by one until every pair was told apart or there were enough of them."""

    first: int
    last: int
    """How many there may become."""
    seeds: int
    """How many there are."""
    level: float
    """The confidence of each interval, and 1 less the error of each test, so that 95 % hold over all looks.

    Once a study has ended, they need not hold wherever it might have (`level_at_end`), and a look that left two or more
    pairs open is none for this: whatever the numbers of any one of them, it could not have ended there.
    """
    unresolved: tuple[tuple[str, str], ...]
    """The pairs that are not told apart."""


def growth_of(benchmark: Benchmark, results: Mapping[str, Result]) -> Growth | None:
    """Return how a suite's seeds have grown, given the results of its cells by key; None where they do not grow."""
    seeds = benchmark.parts[0].seeds
    if not isinstance(seeds, GrownSeeds):
        return None
    levels = _levels(seeds)
    level = levels[seeds.number]
    if seeds.number == seeds.last or not goes_on(benchmark, results):
        before = range(seeds.first, seeds.number)
        could_end = [look for look in before if len(set(_open(benchmark, results, look, levels[look]))) < 2]
        level = level_at_end((*could_end, seeds.number), seeds.last)
    still = _open(benchmark, results, seeds.number, level)
    return Growth(
        first=seeds.first,
        last=seeds.last,
        seeds=seeds.number,
        level=level,
        unresolved=tuple(dict.fromkeys(pair.methods for pair in still)),
    )


def goes_on(benchmark: Benchmark, results: Mapping[str, Result]) -> bool:
    """Whether a suite whose seeds grow has a pair that this look, one of as many as there may be, does not tell apart."""
    seeds = benchmark.parts[0].seeds
    if not isinstance(seeds, GrownSeeds):
        return False
    return bool(_open(benchmark, results, seeds.number, _levels(seeds)[seeds.number]))


def _levels(seeds: GrownSeeds) -> dict[int, float]:
    """Return the level of each look that there may be, by its number of seeds."""
    looks = tuple(range(seeds.first, seeds.last + 1))
    return dict(zip(looks, repeated_levels(looks, seeds.last), strict=True))


def _open(benchmark: Benchmark, results: Mapping[str, Result], seeds: int, level: float) -> list[OpenPair]:
    return [pair for part in benchmark.parts for pair in unresolved(part, results, seeds, level)]


class OpenPair(NamedTuple):
    """Two methods that are not told apart, and the trainings that they are compared by."""

    methods: tuple[str, str]
    dataset: str
    backbone: str


def unresolved(suite: Suite, results: Mapping[str, Result], seeds: int, level: float) -> Iterator[OpenPair]:
    """Yield the pairs of methods that the first so many seeds do not tell apart, by selection and treatment of BatchNorm.

    Told apart is by Student's paired test over seeds of the mean accuracies over noise models, at 1 less the level. A pair
    with a side that is not whole is left out.
    """
    every = tuple(MethodPair(methods=(label, suite.baseline)) for label in suite.methods if label != suite.baseline)
    networks: dict[tuple[str, ...], list[Column]] = {}
    for column in suite.own_columns():
        networks.setdefault(column[:4], []).append(column)
    for pair in every if suite.report.resolve is None else suite.report.resolve:
        for columns in networks.values():
            asked = [column for column in columns if not pair.noise or matches(pair.noise, column.noise)]
            first, second = (_by_seed(suite, method, asked, results)[:seeds] for method in pair.methods)
            if asked and first and second and paired_p(first, second) >= 1 - level:
                yield OpenPair(pair.methods, columns[0].dataset, columns[0].backbone)


def _by_seed(suite: Suite, method: str, columns: list[Column], results: Mapping[str, Result]) -> list[float]:
    """Return a method's mean accuracy over columns for each seed; nothing if it lacks one."""
    found = [[score(results.get(cell.key)) for cell in suite.rows[column, method]] for column in columns]
    seeds = [[value for value in values if value is not None] for values in zip(*found, strict=True)]
    return [mean(values) for values in seeds] if all(len(values) == len(columns) for values in seeds) else []


def grown(benchmark: Benchmark, store: Store) -> Benchmark:
    """Return a suite at as many seeds as a run would have it at by what is stored: where it ends, or where it goes on."""
    found: dict[str, Result] = {}
    *earlier, last = benchmark.looks()
    for look in earlier:
        for cell in look.cells():
            if cell.key not in found:
                found[cell.key] = store.result_of(cell)
        whole = all(found[cell.key] is not None for cell in look.cells())
        if not (whole and goes_on(look, found)):
            return look
    return last
