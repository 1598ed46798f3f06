from __future__ import annotations

import pytest
import torch

from nrbench import Images, Scoring
from nrbench.base.chance import Chips
from nrbench_noise import Gaussian, NoNoise
from tests.families.test_network import CHIPS, IMAGES, network, really_at, right


def correct(scoring: Scoring, *, batch: int = 7, chips: Chips = CHIPS, images: Images = IMAGES) -> float:
    return scoring.measured(network(batch=batch), {"test": images}, chips)["correct"]


@pytest.mark.parametrize("batch", [3, 1000])
def test_the_split_draw_estimate_by_hand(batch: int) -> None:
    """Chunk m of the images meets selection draw m; chunk sizes differ by at most one, whatever the evaluation batch."""
    noise, who = Gaussian(sigma=0.3), network()
    expected, start = 0, 0
    for draw, size in enumerate([13, 13, 13, 13, 12]):
        part = IMAGES[slice(start, start + size)]
        delta = noise.displacement(who.weights(), chance=CHIPS.chip("selection", draw))
        expected += right(really_at(who, delta), part)
        start += size
    assert start == len(IMAGES)
    assert correct(Scoring(on="test", draws=5, noise=noise), batch=batch) == expected


def test_the_split_draw_estimate_is_unbiased() -> None:
    """Over many seeds of chips, the split estimate and full draws have the same mean within their standard errors."""
    noise, who = Gaussian(sigma=0.5), network()
    full, split = [], []
    for seed in range(60):
        chips = Chips("backbone", seed, torch.device("cpu"))
        full += [who.under(noise, chips.chip("selection", 100 + draw)).counts(IMAGES) for draw in range(4)]
        split.append(correct(Scoring(on="test", draws=16, noise=noise), chips=chips))
    truth, estimate = torch.tensor(full).double(), torch.tensor(split).double()
    error = (truth.var() / len(full) + estimate.var() / len(split)).sqrt()
    assert abs(truth.mean() - estimate.mean()) < 3 * error
    assert truth.std() > 1  # the draws do differ, so agreement is no triviality


def test_more_chunks_than_images_is_one_image_each() -> None:
    """A small set is cut into as many chunks as it has images."""
    few = IMAGES[slice(0, 5)]
    assert correct(Scoring(on="test", draws=50, noise=NoNoise()), images=few) == right(network().model, few)


def test_scorings_measured_together_are_those_measured_alone() -> None:
    """Sharing a chip's numbers changes nothing: each counts what it counts by itself, also the same one twice."""
    scorings = [Scoring(on="test", draws=draws, noise=Gaussian(sigma=s)) for draws in (4, 8) for s in (0.2, 0.4)]
    together = Scoring.measured_together([*scorings, scorings[0]], network(), {"test": IMAGES}, CHIPS)
    assert [found["correct"] for found in together] == [correct(each) for each in (*scorings, scorings[0])]
    assert len({found["correct"] for found in together}) > 1
