from __future__ import annotations

import pytest

from nrbench.families.selection import BestEpoch, Last
from nrbench_noise import Gaussian, NoNoise


@pytest.mark.parametrize(
    ("scores", "epoch"), [([5], 1), ([5, 7, 6], 2), ([5, 7, 7], 2), ([0, 0, 0], 1), ([1, 2, 3], 3), ([9, 9, 10, 10], 3)]
)
def test_the_best_epoch_is_the_earliest_of_the_best(scores: list[int | None], epoch: int) -> None:
    """The highest score wins, and of equal ones the earliest epoch; epochs count from 1."""
    assert BestEpoch().choose(scores) == epoch


def test_the_last_epoch_needs_no_score() -> None:
    """`last` asks for no measurement and chooses the end."""
    assert Last().scoring(Gaussian()) is None
    assert Last().choose([None, None, None]) == 3


def test_each_noise_model_is_scored_by_itself() -> None:
    """Every level has a scoring of its own; what is not random needs no chunks."""
    rule = BestEpoch(on="test", draws=20)
    first, second, clean = (rule.scoring(noise) for noise in (Gaussian(sigma=0.1), Gaussian(sigma=0.2), NoNoise()))
    assert first.fingerprint != second.fingerprint
    assert (first.on, first.draws, clean.draws) == ("test", 20, 1)


def test_one_epoch_for_all_noise_levels() -> None:
    """Chosen under a noise model that is named, every level has the same scoring, and so the same epoch."""
    under = Gaussian(sigma=0.1)
    rule = BestEpoch(under=under, draws=20)
    scorings = {rule.scoring(noise) for noise in (Gaussian(sigma=0.2), NoNoise(), under)}
    assert scorings == {BestEpoch(draws=20).scoring(under)}
    assert rule.fingerprint != BestEpoch(draws=20).fingerprint
