from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch

from nrbench import Cell, Chance, Failure, NoiseModel, Recipe, Scoring, Training, Weights
from nrbench.base.chance import Chips
from nrbench.families.selection import Last
from nrbench.jobs.data import Data
from nrbench.jobs.evaluate import Counts, evaluate, measure
from nrbench.jobs.job import evaluation_network
from nrbench.testing import SmallDataset, SmallNetwork
from nrbench_methods import SGD
from nrbench_noise import Gaussian, NoNoise

TRAINING = Training(SmallDataset(), SmallNetwork(), SGD(), Recipe(evaluation_batch=7), 0)
DATA = Data.of(TRAINING, Path(), torch.device("cpu"))
NETWORK = evaluation_network(TRAINING, DATA)
CHIPS = Chips(TRAINING.backbone.fingerprint, 0, torch.device("cpu"))


class Broken(NoiseModel):
    """A noise model that cannot be drawn."""

    name: Literal["broken"] = "broken"

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        raise ZeroDivisionError("no such device")


@pytest.mark.parametrize("order", [0, 1])
def test_one_broken_noise_model_costs_no_other_score(order: int) -> None:
    """Scorings that share their passes are told apart when one of them raises."""
    scorings = [Scoring(on="test", draws=4, noise=noise) for noise in (Gaussian(sigma=0.2), Broken())]
    results = measure(scorings[:: 1 - 2 * order], NETWORK, DATA, CHIPS)
    assert results[scorings[0].fingerprint] == scorings[0].measured(NETWORK, DATA.splits, CHIPS)
    failure = results[scorings[1].fingerprint]
    assert isinstance(failure, Failure)
    assert failure.message == "ZeroDivisionError: no such device"


def test_cells_are_counted_on_the_report_draws() -> None:
    """Each draw of a cell is one pass on that chip; without noise it is the clean one; what raises costs its cell alone."""
    noises: list[tuple[NoiseModel, int]] = [(Gaussian(sigma=0.3), 5), (NoNoise(), 1), (Broken(), 3)]
    cells = [Cell(TRAINING, noise, draws, Last()) for noise, draws in noises]
    noisy, clean, broken = (evaluate(cells, NETWORK, DATA, CHIPS)[cell] for cell in cells)
    test = DATA.splits["test"]
    assert isinstance(noisy, Counts)
    assert isinstance(clean, Counts)
    assert isinstance(broken, Failure)
    drawn = [NETWORK.under(Gaussian(sigma=0.3), CHIPS.chip("report", draw)).counts(test) for draw in range(5)]
    assert noisy.correct == drawn
    assert (clean.correct, clean.clean) == ([NETWORK.counts(test)], NETWORK.counts(test))
    assert len(set(drawn)) > 1
