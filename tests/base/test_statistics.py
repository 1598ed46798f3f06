from __future__ import annotations

from itertools import combinations
from string import ascii_letters, ascii_lowercase

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nrbench.base.statistics import (
    fisher,
    holm,
    interquartile_mean,
    letters,
    mean,
    paired,
    paired_p,
    pearson,
    quantile,
    ranks,
    std,
    t_interval,
    variance_components,
    welch,
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


def test_letters_are_few_and_soon_found() -> None:
    """Thirty pairs that differ have 2³⁰ largest sets, and a handful of letters says it; where 26 do not suffice there are none."""
    pairs = [(f"a{i}", f"b{i}") for i in range(30)]
    shown = letters([name for pair in pairs for name in pair], pairs)
    assert len(set("".join(shown.values()))) < 10
    for first, second in combinations(shown, 2):
        assert bool(set(shown[first]) & set(shown[second])) == ((first, second) not in pairs)
    assert letters(ascii_lowercase, combinations(ascii_lowercase, 2)) == {name: name for name in ascii_lowercase}
    assert letters(ascii_letters[:27], combinations(ascii_letters[:27], 2)) == {}


def test_ranks_share_ties_and_put_nothing_last() -> None:
    """The best is 1, ties share their mean rank, and a score that is missing is behind all others."""
    assert ranks([50.0, 70.0, None, 50.0, 60.0]) == [3.5, 1, 5, 3.5, 2]
    assert ranks([None, None]) == [1.5, 1.5]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0, 1))
def test_quantile_and_interquartile_mean(values: list[float], share: float) -> None:
    """The quantile lies on the line through the ordered values at (n - 1) · share; the middle mean lacks ⌊n/4⌋ at each end."""
    ordered = sorted(values)
    place = (len(values) - 1) * share
    below = int(place)
    above = min(below + 1, len(values) - 1)
    expected = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    assert quantile(values, share) == pytest.approx(expected, abs=1e-9)
    assert quantile(values, share) == np.quantile(ordered, share)
    cut = len(values) // 4
    middle = ordered[cut : len(values) - cut]
    assert interquartile_mean(values) == pytest.approx(sum(middle) / len(middle), abs=1e-9)
    assert quantile(values[::-1], share) == quantile(values, share)
    assert interquartile_mean(values[::-1]) == interquartile_mean(values)


def test_an_estimate_of_paired_differences_is_scipys() -> None:
    """Effect, interval and p of paired differences are those of scipy's one-sample t test."""
    values = [0.5, 1.25, -0.25, 2.0, 0.75]
    found, oracle = paired(values), stats.ttest_1samp(values, 0)
    assert found.effect == pytest.approx(np.mean(values))
    assert found.interval == pytest.approx(tuple(oracle.confidence_interval()))
    assert found.p == pytest.approx(oracle.pvalue)


def test_welch_is_scipys_and_goes_beyond_two_means() -> None:
    """For two means it is scipy's Welch test; for four it has the degrees of freedom of Satterthwaite's formula."""
    two = welch([(1, 71.04, 0.15, 3), (-1, 66.51, 1.27, 3)])
    oracle = stats.ttest_ind_from_stats(71.04, 0.15, 3, 66.51, 1.27, 3, equal_var=False)
    assert (two.effect, two.p) == pytest.approx((71.04 - 66.51, oracle.pvalue))
    four = welch([(1, 65.27, 0.64, 3), (-1, 61.36, 0.9, 3), (-1, 72.43, 0.21, 3), (1, 71.04, 0.15, 3)])
    parts = np.array([0.64, 0.9, 0.21, 0.15]) ** 2 / 3
    half = stats.t.ppf(0.975, parts.sum() ** 2 / (parts**2 / 2).sum()) * np.sqrt(parts.sum())
    assert four.effect == pytest.approx(65.27 - 61.36 - 72.43 + 71.04)
    assert four.interval == pytest.approx((four.effect - half, four.effect + half))


def test_without_a_spread_nothing_is_decided() -> None:
    """A mean of one value, or one without an uncertainty, leaves a difference without an interval and with p = 1."""
    for terms in ([(1, 70.0, None, 3), (-1, 60.0, 1.0, 3)], [(1, 70.0, 1.0, 1)], [(1, 70.0, 0.0, 3)]):
        assert (welch(terms).interval, welch(terms).p) == (None, 1.0)


def test_fisher_is_scipys() -> None:
    """The interval of a correlation is that of scipy's pearsonr, and its p that of the normal distribution of z."""
    x, y = [1.0, 2, 3, 4, 5, 7], [1.2, 1.9, 3.5, 3.7, 5.5, 6.0]
    r = pearson(x, y)
    assert r == pytest.approx(stats.pearsonr(x, y).statistic)
    found = fisher(r or 0, 6, against=0.5)
    low, high = stats.pearsonr(x, y).confidence_interval()
    assert found.interval == pytest.approx((low - 0.5, high - 0.5))
    z = (np.arctanh(r) - np.arctanh(0.5)) * np.sqrt(3)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert pearson([1, 1, 1], [1, 2, 3]) is None
    assert pearson([1, 2], [1, 2]) is None


def test_variance_components_by_hand() -> None:
    """The variance of seeds' means loses the draws' variance over their number, and never becomes negative."""
    draws = [[1.0, 3.0], [5.0, 7.0]]  # means 2 and 6: variance 8; within 2, half of which is in the means
    assert variance_components(draws) == pytest.approx((7**0.5, 2**0.5))
    assert variance_components([[0.0, 10.0], [1.0, 9.0]]) == pytest.approx((0.0, 41**0.5))
    assert variance_components([[1.0, 2.0]]) is None
    assert variance_components([[1.0], [2.0]]) is None


def test_variance_components_are_those_of_the_analysis_of_variance() -> None:
    """They are the mean squares of scipy's one-way layout, solved for the two variances."""
    draws = np.random.default_rng(0).normal(50, 3, (5, 10)) + np.arange(5)[:, None]
    between, within = variance_components(draws.tolist()) or (0, 0)
    mean_square_within = draws.var(axis=1, ddof=1).mean()
    f = stats.f_oneway(*draws).statistic
    assert within**2 == pytest.approx(mean_square_within)
    assert between**2 == pytest.approx((f - 1) * mean_square_within / 10)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize(("between", "within"), [(2.0, 0.5), (0.3, 4.0)], ids=["seeds vary", "draws vary"])
def test_intervals_cover_what_they_promise(seeds: int, between: float, within: float) -> None:
    """Over 20,000 simulated studies the 95 % interval over seeds holds the true mean in 93 to 97 % of them."""
    chance = np.random.default_rng([seeds, int(10 * within)])
    studies = 20_000
    means = chance.normal(60, between, (studies, seeds)) + chance.normal(0, within, (studies, seeds, 10)).mean(2)
    hits = sum(low <= 60 <= high for low, high in (t_interval(study) or (0, 0) for study in means.tolist()))
    print(f"{seeds} seeds, {between} between, {within} within: covered {hits / studies:.2%}")
    assert 0.93 <= hits / studies <= 0.97
