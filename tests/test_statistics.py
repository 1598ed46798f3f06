from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nrbench.statistics import (
    holm,
    interquartile_mean,
    letters,
    mean,
    paired_p,
    quantile,
    ranks,
    std,
    t_interval,
)

VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=12)


def test_by_hand() -> None:
    """Mean, standard deviation with ddof 1 and the t interval of 1, 2, 6, worked out on paper."""
    assert mean([1, 2, 6]) == 3
    assert std([1, 2, 6]) == pytest.approx(7**0.5)
    half = 4.302652729911275 * 7**0.5 / 3**0.5
    assert t_interval([1, 2, 6]) == pytest.approx((3 - half, 3 + half))


@given(VALUES)
def test_equal_to_scipy_and_numpy(values: list[float]) -> None:
    """Standard deviation and interval agree with NumPy and with scipy's Student distribution."""
    spread, interval = std(values), t_interval(values)
    assert spread == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert interval is not None
    if spread and spread > 1e-9:
        expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert interval == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(VALUES, st.randoms())
def test_the_order_of_values_changes_no_bit(values: list[float], random: object) -> None:
    """Sums are exact, so a permutation gives the same floats."""
    permuted = list(values)
    random.shuffle(permuted)  # type: ignore[attr-defined]
    assert (mean(values), std(values), t_interval(values)) == (mean(permuted), std(permuted), t_interval(permuted))


def test_one_value_has_no_spread() -> None:
    """A spread that needs two values is None, never NaN, and decides nothing."""
    assert (std([5.0]), t_interval([5.0])) == (None, None)
    assert paired_p([5.0], [1.0]) == 1


@given(st.integers(2, 8).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 50), min_size=n, max_size=n)] * 2)))
def test_the_paired_test_is_scipys(pair: tuple[list[int], list[int]]) -> None:
    """The p value is that of scipy's ttest_rel; equal differences, which counts often have by accident, decide nothing."""
    first, second = pair
    differences = {a - b for a, b in zip(first, second, strict=True)}
    if len(differences) == 1:
        assert paired_p(first, second) == 1.0
    else:
        assert paired_p(first, second) == pytest.approx(stats.ttest_rel(first, second).pvalue, abs=1e-9)


def test_holm_by_hand() -> None:
    """The smallest p is compared with 5 % over all comparisons, the next with one fewer, until one fails."""
    assert holm({("a", "b"): 0.012, ("a", "c"): 0.03, ("b", "c"): 0.024}) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert holm({("a", "b"): 0.017, ("a", "c"): 0.001, ("b", "c"): 0.06}) == {("a", "c"), ("a", "b")}
    assert holm({("a", "b"): 0.02, ("a", "c"): 0.02, ("b", "c"): 0.02}) == set()
    assert holm({}) == set()


@given(st.sets(st.sampled_from(list(combinations("abcdef", 2)))))
def test_letters_say_exactly_what_differs(different: set[tuple[str, str]]) -> None:
    """Two names share a letter if and only if they are not different, and no letter is contained in another."""
    shown = letters("abcdef", different)
    for first, second in combinations("abcdef", 2):
        assert bool(set(shown[first]) & set(shown[second])) == ((first, second) not in different)
    groups = {letter: {name for name in shown if letter in shown[name]} for letter in set("".join(shown.values()))}
    assert not any(one < other for one in groups.values() for other in groups.values())


def test_ranks_share_ties_and_put_nothing_last() -> None:
    """The best is 1, ties share their mean rank, and a score that is missing is behind all others."""
    assert ranks([50.0, 70.0, None, 50.0, 60.0]) == [3.5, 1, 5, 3.5, 2]
    assert ranks([None, None]) == [1.5, 1.5]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_quantile_and_interquartile_mean(values: list[float]) -> None:
    """They agree with NumPy's quantile and scipy's trimmed mean, and do not depend on order."""
    assert quantile(values, 0.05) == pytest.approx(np.quantile(values, 0.05))
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))
    assert quantile(values[::-1], 0.05) == quantile(values, 0.05)
