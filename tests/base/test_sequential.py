"""Repeated looks: whether all of them together keep the level that one look has."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit

from nrbench.base.sequential import POWER, repeated_levels


def covered(first: int, last: int, effect: float, *, studies: int, seed: int = 0) -> tuple[float, float]:
    """How often the interval where a study ends holds its effect, in standard deviations, and how often it ends resolved."""
    values = np.random.default_rng(seed).standard_normal((studies, last)) + effect
    running, covers, resolved = np.ones(studies, bool), np.zeros(studies, bool), np.zeros(studies, bool)
    for count, level in zip(range(first, last + 1), repeated_levels(first, last), strict=True):
        mean, spread = values[:, :count].mean(1), values[:, :count].std(1, ddof=1)
        half = stdtrit(count - 1, (1 + level) / 2) * spread / np.sqrt(count)
        told_apart = np.abs(mean) > half
        ends = running & (told_apart | (count == last))
        covers[ends], resolved[ends] = (np.abs(mean - effect) <= half)[ends], told_apart[ends]
        running &= ~ends
    return float(covers.mean()), float(resolved.mean())


def test_the_first_look_spends_what_its_share_of_the_seeds_may() -> None:
    """At 3 of 10 seeds 5 % times (3/10)^ρ may have been spent, and every look has a level of its own above 95 %."""
    levels = repeated_levels(3, 10)
    assert levels[0] == pytest.approx(1 - 0.05 * 0.3**POWER, abs=1e-12)
    assert len(levels) == 8
    assert all(0.95 < level < 1 for level in levels)
    assert list(levels) == sorted(levels)


def test_without_an_effect_one_study_in_twenty_is_taken_for_resolved() -> None:
    """Looked at after each seed from 3 to 10, methods that do not differ are told apart in 5 % of 40,000 studies."""
    coverage, resolved = covered(3, 10, 0.0, studies=40_000)
    assert resolved == pytest.approx(0.05, abs=0.0035)  # three standard errors
    assert coverage == pytest.approx(0.95, abs=0.0035)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "last"), [(3, 10), (3, 5), (5, 20), (3, 30)])
@pytest.mark.parametrize("effect", [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0])
def test_the_interval_where_a_study_ends_holds_the_effect(first: int, last: int, effect: float) -> None:
    """Whatever the effect, the interval at the end covers it in 95 to 97.8 % of 200,000 studies: never less than it says."""
    coverage, _ = covered(first, last, effect, studies=200_000, seed=1)
    assert 0.9485 < coverage < 0.978


@pytest.mark.slow
def test_many_pairs_that_wait_for_each_other() -> None:
    """A study of five pairs ends when the last is told apart; the intervals of all of them cover in 95 to 99 %."""
    effects = np.array([0.0, 0.3, 0.8, 1.5, 3.0])
    values = np.random.default_rng(2).standard_normal((100_000, 10, 5)) + effects
    running, covers = np.ones(100_000, bool), np.zeros((100_000, 5), bool)
    for count, level in zip(range(3, 11), repeated_levels(3, 10), strict=True):
        mean, spread = values[:, :count].mean(1), values[:, :count].std(1, ddof=1)
        half = stdtrit(count - 1, (1 + level) / 2) * spread / np.sqrt(count)
        ends = running & ((np.abs(mean) > half).all(1) | (count == 10))
        covers[ends] = (np.abs(mean - effects) <= half)[ends]
        running &= ~ends
    coverage = covers.mean(0)
    assert (coverage > 0.948).all()
    assert (coverage < 0.999).all()
