from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from nrbench import NONE, Backbone, Images, NoiseModel, Recipe, Training
from nrbench.families.selection import Scoring
from nrbench.jobs.batches import Normalisation
from nrbench.jobs.evaluate import scored
from nrbench.jobs.network import Judge
from nrbench.jobs.train import initial_model
from nrbench.testing.samples import SmallDataset, SmallNetwork
from nrbench_methods import SAM, SGD
from nrbench_noise import Gaussian, NoNoise

CPU = torch.device("cpu")
DATA = SmallDataset().load(Path())


def judge(backbone: Backbone | None = None, *, seed: int = 0, method: SGD | SAM | None = None, batch: int = 7) -> Judge:
    recipe = Recipe(evaluation_batch=batch)
    training = Training(SmallDataset(), backbone or SmallNetwork(), method or SGD(), recipe, seed)
    model = initial_model(training, 3, DATA.test.images.shape, CPU)
    return Judge(model, training, Normalisation.of(DATA, recipe, CPU), CPU)


def delta_of(noise: NoiseModel, who: Judge, draw: int, purpose: str = "report") -> dict[str, Tensor]:
    chance = list(who.chips(purpose, draw + 1))[draw]
    return dict(noise.displacement(who.weights(), chance=chance.anew()))


def naive(who: Judge, delta: dict[str, Tensor], images: Images = DATA.test) -> int:
    """Count right answers of a copy of the model that really has the displaced weights, in one batch."""
    copy = initial_model(who.training, 3, images.images.shape, CPU)
    copy.load_state_dict(who.model.state_dict())
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter += delta.get(name, torch.zeros(()))
        return int((copy(who.normalise(images.images)).argmax(1) == images.labels).sum())


def test_counts_are_those_of_a_displaced_copy() -> None:
    """Under noise and without it the count equals that of a model whose weights were really changed."""
    who = judge()
    before = {name: p.clone() for name, p in who.model.state_dict().items()}
    for draw in range(5):
        delta = delta_of(Gaussian(sigma=0.3), who, draw)
        assert who.count(delta, DATA.test) == naive(who, delta)
    assert who.count(NONE, DATA.test) == naive(who, {})
    assert all(torch.equal(who.model.state_dict()[name], before[name]) for name in before)


def test_every_method_meets_the_same_chips_and_every_seed_others() -> None:
    """Random numbers depend on backbone, seed and draw; method, strength and data set share them."""
    noise = Gaussian(sigma=0.1)
    first, other_method, other_seed = judge(), judge(method=SAM()), judge(seed=1)
    unit = delta_of(noise, first, 0)["0.weight"] / noise.scale.units(first.weights())["0.weight"]
    shared = delta_of(noise, other_method, 0)["0.weight"] / noise.scale.units(other_method.weights())["0.weight"]
    apart = delta_of(noise, other_seed, 0)["0.weight"] / noise.scale.units(other_seed.weights())["0.weight"]
    assert torch.allclose(unit, shared)
    assert not torch.allclose(unit, apart)


def test_selection_and_report_use_other_chips() -> None:
    """An epoch chosen on its selection draws is judged on draws it has not seen."""
    who, noise = judge(), Gaussian(sigma=0.1)
    first, second = (delta_of(noise, who, 0, purpose)["0.weight"] for purpose in ("report", "selection"))
    assert not torch.equal(first, second)


def test_the_split_draw_estimate_by_hand() -> None:
    """Chunk m of the images meets selection draw m; chunk sizes differ by at most one, whatever the evaluation batch."""
    noise = Gaussian(sigma=0.3)
    for batch in (3, 1000):
        who = judge(batch=batch)
        expected, start = 0, 0
        for draw, size in enumerate([13, 13, 13, 13, 12]):
            part = DATA.test[slice(start, start + size)]
            expected += naive(who, delta_of(noise, who, draw, "selection"), part)
            start += size
        assert start == len(DATA.test)
        assert who.scores([noise], DATA.test, draws=5) == [expected]


def test_the_split_draw_estimate_is_unbiased() -> None:
    """Over many seeds of chips, the split estimate and full draws have the same mean within their standard errors."""
    noise = Gaussian(sigma=0.5)
    who = judge()
    full, split = [], []
    for seed in range(60):
        training = Training(SmallDataset(), SmallNetwork(), SGD(), who.training.recipe, seed)
        chips = Judge(who.model, training, who.normalise, CPU)
        full += [chips.count(delta_of(noise, chips, draw), DATA.test) for draw in range(4)]
        split.append(chips.scores([noise], DATA.test, draws=16)[0])
    truth, estimate = torch.tensor(full).double(), torch.tensor(split).double()
    error = (truth.var() / len(full) + estimate.var() / len(split)).sqrt()
    assert abs(truth.mean() - estimate.mean()) < 3 * error
    assert truth.std() > 1  # the draws do differ, so agreement is no triviality


def test_more_chunks_than_images_is_one_image_each() -> None:
    """A small set is cut into as many chunks as it has images."""
    assert judge().scores([NoNoise()], DATA.test[slice(0, 5)], draws=50) == [naive(judge(), {}, DATA.test[slice(0, 5)])]


class Nan(NoiseModel):
    """An error that is not a number for half of the outputs."""

    name: Literal["nan"] = "nan"

    def displacement(self, weights, *, chance):  # type: ignore[no-untyped-def]
        return {"4.bias": torch.tensor([float("nan"), 0.0, 0.0])}


def test_an_output_that_is_not_finite_is_wrong() -> None:
    """NaN never counts as a right answer, although argmax would pick it."""
    who = judge()
    assert who.count(delta_of(Nan(), who, 0), DATA.test) == 0


def test_recalibration_is_a_cumulative_average_at_the_displaced_weights() -> None:
    """Running statistics are the mean over equal batches of each batch's statistics, at w + δ; the model keeps its own."""
    who = judge()
    images = DATA.train[slice(0, 40)]
    delta = delta_of(Gaussian(sigma=0.3), who, 0)
    before = {name: buffer.clone() for name, buffer in who.model.named_buffers()}
    with torch.inference_mode():
        buffers = who._recalibrated(delta, images)
    conv = who.model[0]
    out = nn.functional.conv2d(who.normalise(images.images), conv.weight + delta["0.weight"], padding=1)
    assert torch.allclose(buffers["1.running_mean"], out.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(buffers["1.running_var"], out.var((0, 2, 3)), rtol=1e-4)
    assert all(torch.equal(buffer, before[name]) for name, buffer in who.model.named_buffers())
    assert not who.model[1].training
    assert who.model[1].momentum == 0.1


class Instance(Backbone):
    """A network with statistics that recalibration does not concern."""

    name: Literal["instance"] = "instance"

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        norm = nn.InstanceNorm2d(2, track_running_stats=True)
        norm.running_mean.fill_(0.25)
        return nn.Sequential(norm, nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, num_classes))


def test_recalibration_leaves_other_statistics_alone() -> None:
    """Only BatchNorm's statistics are estimated anew, from whatever they were; others stay."""
    who = judge(Instance())
    who.model[1].running_var.fill_(float("nan"))
    with torch.inference_mode():
        buffers = who._recalibrated(NONE, DATA.train)
    assert torch.equal(buffers["0.running_mean"], torch.full((2,), 0.25))
    assert buffers["1.running_var"].isfinite().all()


class Writing(NoiseModel):
    """A noise model that writes to the weights it is given."""

    name: Literal["writing"] = "writing"

    def displacement(self, weights, *, chance):  # type: ignore[no-untyped-def]
        for weight in weights.values():
            weight.add_(1)
        return {}


def test_a_noise_model_that_writes_is_caught_and_undone() -> None:
    """Its own score is a failure, and the weights that others meet are those that were stored."""
    who = judge()
    who.load({name: tensor.clone() for name, tensor in who.model.state_dict().items()})
    scorings = [Scoring(on="test", draws=2, noise=noise) for noise in (Writing(), Gaussian(sigma=0.2))]
    alone = scored(judge(), scorings[1:], {"test": DATA.test})
    both = scored(who, scorings, {"test": DATA.test})
    assert str(both[scorings[0].fingerprint]) == "writing wrote to the weights it was given"
    assert both[scorings[1].fingerprint] == alone[scorings[1].fingerprint]


class Broken(NoiseModel):
    """A noise model that cannot be drawn."""

    name: Literal["broken"] = "broken"

    def displacement(self, weights, *, chance):  # type: ignore[no-untyped-def]
        raise ZeroDivisionError("no such device")


@pytest.mark.parametrize("order", [0, 1])
def test_one_broken_noise_model_costs_no_other_score(order: int) -> None:
    """Scorings that share their passes are told apart when one of them raises."""
    scorings = [Scoring(on="test", draws=4, noise=noise) for noise in (Gaussian(sigma=0.2), Broken())]
    results = scored(judge(), scorings[:: 1 - 2 * order], {"test": DATA.test})
    assert results[scorings[0].fingerprint] == judge().scores([Gaussian(sigma=0.2)], DATA.test, draws=4)[0]
    assert isinstance(results[scorings[1].fingerprint], ZeroDivisionError)
