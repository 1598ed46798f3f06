"""Repeated looks: whether all of them together keep the level that one look has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import stdtrit

from nrbench.base.sequential import POWER, level_at_end, repeated_levels


def covered(first: int, last: int, effect: float, *, studies: int, seed: int = 0) -> tuple[float, float]:
    """How often the interval where a study ends holds its effect, in standard deviations, and how often it ends resolved."""
    values = np.random.default_rng(seed).standard_normal((studies, last)) + effect
    running, covers, resolved = np.ones(studies, bool), np.zeros(studies, bool), np.zeros(studies, bool)
    looks = tuple(range(first, last + 1))
    for count, level in zip(looks, repeated_levels(looks, last), strict=True):
        mean, error = values[:, :count].mean(1), values[:, :count].std(1, ddof=1) / np.sqrt(count)
        told_apart = np.abs(mean) > stdtrit(count - 1, (1 + level) / 2) * error
        ends = running & (told_apart | (count == last))
        half = stdtrit(count - 1, (1 + level_at_end(looks[: looks.index(count) + 1], last)) / 2) * error
        covers[ends], resolved[ends] = (np.abs(mean - effect) <= half)[ends], told_apart[ends]
        running &= ~ends
    return float(covers.mean()), float(resolved.mean())


def test_the_first_look_spends_what_its_share_of_the_seeds_may() -> None:
    """At 3 of 10 seeds 5 % times (3/10)^ρ may have been spent, and every look has a level of its own above 95 %."""
    levels = repeated_levels(tuple(range(3, 11)), 10)
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
@pytest.mark.parametrize(
    ("first", "last", "lowest", "highest"),
    [(3, 10, 0.949, 0.97), (3, 5, 0.949, 0.97), (3, 30, 0.93, 0.97), (5, 10, 0.949, 0.973), (5, 20, 0.947, 0.974)],
)
@pytest.mark.parametrize("effect", [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0])
def test_the_interval_where_a_study_ends_holds_the_effect(
    first: int, last: int, lowest: float, highest: float, effect: float
) -> None:
    """Whatever the effect, the interval where studies of 3 seeds and more end covers it in 93 to 97 % of 200,000.

    Of 5 seeds and more it is up to 97.4.
    """
    coverage, _ = covered(first, last, effect, studies=200_000, seed=1)
    assert lowest < coverage < highest


def test_an_early_end_narrows_the_intervals_and_never_below_the_nominal_level() -> None:
    """At every look but the last the intervals have more than 95 % and less than the boundary, so that they exclude what it does."""
    looks = tuple(range(3, 11))
    for at, boundary in enumerate(repeated_levels(looks, 10), start=1):
        level = level_at_end(looks[:at], 10)
        assert 0.95 < level <= boundary
        assert (level == boundary) == (at == len(looks))


def test_a_look_that_nothing_hangs_on_spends_nothing() -> None:
    """A study that could end at its last seed alone is one of a settled number of seeds, and a look left out makes no level higher."""
    assert repeated_levels((10,), 10) == (pytest.approx(0.95, abs=1e-12),)
    looks = tuple(range(3, 11))
    every = dict(zip(looks, repeated_levels(looks, 10), strict=True))
    for left_out in looks[:-1]:
        fewer = tuple(look for look in looks if look != left_out)
        assert all(level <= every[look] + 1e-6 for look, level in zip(fewer, repeated_levels(fewer, 10), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 0.5, 0.8])
@pytest.mark.parametrize(
    ("effects", "highest"),
    [
        ([0.0, 0.3, 0.8, 1.5, 3.0], 0.957),
        ([0.0, 0.0, 0.0, 0.0], 0.957),
        ([1.0, 1.0, 1.0], 0.963),
        ([2.0, 2.0, 2.0], 0.97),
        ([0.0, 1.5], 0.985),
        ([0.0, 5.0], 0.997),
    ],
)
def test_many_pairs_that_wait_for_each_other(effects: list[float], highest: float, shared: float) -> None:
    """A study ends when all pairs are told apart; each interval covers in 94.5 % and more, also where they share a baseline.

    They are wider than they need be where one pair alone holds up the others.
    """
    rng = np.random.default_rng(2)
    studies, pairs = 40_000, len(effects)
    common = rng.standard_normal((studies, 10, 1))
    values = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.standard_normal((studies, 10, pairs)) + effects
    every = dict(zip(range(3, 11), repeated_levels(tuple(range(3, 11)), 10), strict=True))
    running, covers = np.ones(studies, bool), np.zeros((studies, pairs), bool)
    counts: dict[tuple[int, ...], Any] = {(): np.ones(studies, bool)}
    for count, level in every.items():
        mean, error = values[:, :count].mean(1), values[:, :count].std(1, ddof=1) / np.sqrt(count)
        still = (np.abs(mean) <= stdtrit(count - 1, (1 + level) / 2) * error).sum(1)
        ends = running & ((still == 0) | (count == 10))
        for before, whose in counts.items():
            own = ends & whose
            half = stdtrit(count - 1, (1 + level_at_end((*before, count), 10)) / 2) * error[own]
            covers[own] = np.abs(mean[own] - effects) <= half
        running &= ~ends
        counts = {
            looks: chosen
            for before, whose in counts.items()
            for looks, chosen in (((*before, count), whose & (still < 2)), (before, whose & (still >= 2)))
            if (chosen & running).any()
        }
    assert (covers.mean(0) > 0.945).all()
    assert (covers.mean(0) < highest).all()
