"""Statistics: means, intervals, ranks and tie groups, exact in their sums and never NaN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import fsum, inf, sqrt
from string import ascii_lowercase

import numpy as np
from scipy.special import stdtr, stdtrit
from scipy.stats import rankdata, trim_mean

Interval = tuple[float, float]


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


def t_quantile(count: int, *, level: float = 0.95) -> float:
    """Return the half width of Student's interval of the mean of `count` values, in standard errors."""
    return float(stdtrit(count - 1, (1 + level) / 2))


def t_interval(
    values: Sequence[float], *, level: float = 0.95, lowest: float = -inf, highest: float = inf
) -> Interval | None:
    """Return Student's interval of the mean of independent values, within what is possible; None for fewer than two."""
    spread = std(values)
    if spread is None:
        return None
    half = t_quantile(len(values), level=level) * spread / sqrt(len(values))
    centre = mean(values)
    return max(centre - half, lowest), min(centre + half, highest)


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


def holm(p_values: Mapping[tuple[str, str], float], *, level: float = 0.05) -> set[tuple[str, str]]:
    """Return the comparisons that stay significant under Holm's (1979) step-down correction."""
    significant: set[tuple[str, str]] = set()
    for index, (pair, p) in enumerate(sorted(p_values.items(), key=lambda item: (item[1], item[0]))):
        if p > level / (len(p_values) - index):
            break
        significant.add(pair)
    return significant


def letters(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the compact letter display (Piepho 2004): two names share a letter unless they are different.

    Letters are given in the order of the names.
    """
    groups = [frozenset(names)] if names else []
    for first, second in sorted(different):
        split = [group - {apart} for group in groups if {first, second} <= group for apart in (first, second)]
        kept = [group for group in groups if not {first, second} <= group]
        groups = list(dict.fromkeys(kept + split))
        groups = [group for group in groups if not any(group < other for other in groups)]
    groups.sort(key=lambda group: sorted(names.index(name) for name in group))
    return {name: "".join(_letter(i) for i, group in enumerate(groups) if name in group) for name in names}


def _letter(index: int) -> str:
    return ascii_lowercase[index] if index < 26 else f"({index + 1})"


def ranks(scores: Sequence[float | None]) -> list[float]:
    """Return ranks from 1 for the highest score; ties share their mean rank, and None is behind all."""
    lowest = min((score for score in scores if score is not None), default=0.0) - 1
    return [float(rank) for rank in rankdata([-(lowest if score is None else score) for score in scores])]


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile by linear interpolation."""
    return float(np.quantile(np.sort(np.asarray(values)), share))


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half (Agarwal et al. 2021)."""
    return float(trim_mean(np.sort(np.asarray(values)), 0.25))
