"""Statistics: means, intervals, ranks and tie groups, exact in their sums and never NaN."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import atanh, fsum, inf, sqrt, tanh
from string import ascii_lowercase
from typing import TypeVar

import numpy as np
import scipy  # scipy.stats takes half a second to load, which scipy does when it is first asked for
from scipy.special import ndtri, stdtr, stdtrit

Interval = tuple[float, float]
Key = TypeVar("Key", bound=Hashable)
LEVEL = 0.95
"""The confidence of every interval on the leaderboard; tests are made at 1 - LEVEL."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An effect, its 95 % interval and the two-sided p of its being zero; without a spread, no interval and p = 1."""

    effect: float
    interval: Interval | None
    p: float


def mean(values: Iterable[float]) -> float:
    """Return the mean, the same whatever the order of the values."""
    ordered = sorted(values)
    return fsum(ordered) / len(ordered)


def std(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (ddof 1), None for fewer than two values."""
    if len(values) < 2:
        return None
    centre = mean(values)
    return sqrt(fsum(sorted((value - centre) ** 2 for value in values)) / (len(values) - 1))


def t_quantile(count: int, *, level: float = LEVEL) -> float:
    """Return the half width of Student's interval of the mean of `count` values, in standard errors."""
    return float(stdtrit(count - 1, (1 + level) / 2))


def t_interval(
    values: Sequence[float], *, level: float = LEVEL, lowest: float = -inf, highest: float = inf
) -> Interval | None:
    """Return Student's interval of the mean of independent values, within what is possible; None for fewer than two."""
    spread = std(values)
    if spread is None:
        return None
    half = t_quantile(len(values), level=level) * spread / sqrt(len(values))
    centre = mean(values)
    return max(centre - half, lowest), min(centre + half, highest)


def paired(values: Sequence[float], *, level: float = LEVEL) -> Estimate:
    """Return the estimate that paired differences, one a seed, amount to: Student's one-sample interval and test."""
    return Estimate(mean(values), t_interval(values, level=level), paired_p(values, [0.0] * len(values)))


def welch(terms: Sequence[tuple[float, float, float | None, int]]) -> Estimate:
    """Return the estimate of a weighted sum of independent means, given (weight, mean, standard deviation, count) of each.

    The interval and test are Welch's (1947), with the degrees of freedom of Satterthwaite. A mean without a standard
    deviation, or of fewer than two values, leaves the sum without a spread.
    """
    effect = fsum(sorted(weight * value for weight, value, _, _ in terms))
    if any(spread is None or count < 2 for _, _, spread, count in terms):
        return Estimate(effect, None, 1.0)
    variances = [weight**2 * (spread or 0.0) ** 2 / count for weight, _, spread, count in terms]
    variance = fsum(variances)
    if variance <= 0:
        return Estimate(effect, None, 1.0)
    parts = [v**2 / (count - 1) for v, (_, _, _, count) in zip(variances, terms, strict=True)]
    freedom = variance**2 / fsum(parts)
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * sqrt(variance)
    return Estimate(effect, (effect - half, effect + half), 2 * float(stdtr(freedom, -abs(effect) / sqrt(variance))))


def pearson(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return Pearson's correlation, None for fewer than three points or where one side does not vary."""
    if len(x) < 3 or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def fisher(r: float, count: int, *, against: float) -> Estimate:
    """Return r - against with the interval and p of Fisher's (1921) transformation of a correlation of `count` points."""
    if count < 4 or abs(r) >= 1:
        return Estimate(r - against, None, 1.0)
    error = 1 / sqrt(count - 3)
    half = float(ndtri((1 + LEVEL) / 2)) * error
    z = (atanh(r) - atanh(against)) / error
    interval = (tanh(atanh(r) - half) - against, tanh(atanh(r) + half) - against)
    return Estimate(r - against, interval, 2 * float(stdtr(inf, -abs(z))))


def variance_components(draws: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Return (between seeds, between draws), two standard deviations, by the method of moments; None for a single seed.

    Every seed has the same number of draws, at least two. The variance of the seeds' means holds that of the draws divided
    by their number, which is taken off; what is left is never below zero.
    """
    within = [spread for values in draws if (spread := std(values)) is not None]
    between = std([mean(values) for values in draws])
    if between is None or len(within) < len(draws):
        return None
    noise = mean([spread**2 for spread in within])
    return sqrt(max(between**2 - noise / len(draws[0]), 0.0)), sqrt(noise)


def paired_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p of Student's paired test; 1 where nothing can be decided.

    That is for fewer than two pairs, and for equal differences: accuracies are counts, and a few seeds often agree.
    """
    differences = [a - b for a, b in zip(first, second, strict=True)]
    spread = std(differences)
    if spread is None or spread < 1e-9:
        return 1.0
    t = mean(differences) / (spread / sqrt(len(differences)))
    return 2 * float(stdtr(len(differences) - 1, -abs(t)))


def holm(p_values: Mapping[Key, float], *, level: float = 1 - LEVEL) -> set[Key]:
    """Return the comparisons that stay significant under Holm's (1979) step-down correction."""
    significant: set[Key] = set()
    for index, (comparison, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        if p > level / (len(p_values) - index):
            break
        significant.add(comparison)
    return significant


def letters(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return a compact letter display (Piepho 2004): two names share a letter if and only if they are not different.

    Each letter is a largest set of such names, grown from the first two that share none yet (Gramm et al. 2007): all largest
    sets can be exponentially many. Letters are given in the order of the names; nothing is returned where 26 do not suffice.
    """
    apart = {frozenset(pair) for pair in different}
    like = {first: {second for second in names if frozenset((first, second)) not in apart} for first in names}
    groups: list[set[str]] = []
    for first, second in combinations_with_replacement(names, 2):
        if second not in like[first] or any({first, second} <= group for group in groups):
            continue
        group, others = {first, second}, like[first] & like[second]
        for name in names:
            if name in others:
                group.add(name)
                others &= like[name]
        groups.append(group)
        if len(groups) > len(ascii_lowercase):
            return {}
    groups.sort(key=lambda group: sorted(names.index(name) for name in group))
    return {
        name: "".join(letter for letter, group in zip(ascii_lowercase, groups, strict=False) if name in group)
        for name in names
    }


def ranks(scores: Sequence[float | None]) -> list[float]:
    """Return ranks from 1 for the highest score; ties share their mean rank, and None is behind all."""
    lowest = min((score for score in scores if score is not None), default=0.0) - 1
    return [float(rank) for rank in scipy.stats.rankdata([-(lowest if score is None else score) for score in scores])]


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile by linear interpolation, what `numpy.quantile` gives to the bit, in a twenty-fifth of its time."""
    ordered, place = sorted(values), share * (len(values) - 1)
    below, part = divmod(place, 1)
    low, high = ordered[int(below)], ordered[min(int(below) + 1, len(ordered) - 1)]
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half (Agarwal et al. 2021)."""
    return float(scipy.stats.trim_mean(np.sort(np.asarray(values)), 0.25))
