from __future__ import annotations

import weakref
from collections.abc import Callable
from hashlib import sha256

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from nrbench import Chance
from nrbench.base.chance import EvaluationChance, TrainingChance, derive

SHAPE = (64, 32, 3, 3)


def philox(key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


def chip(backbone: str = "a", seed: int = 0, purpose: str = "report", draw: int = 0) -> EvaluationChance:
    return EvaluationChance.chip(backbone, seed, purpose, draw)


def test_golden_values() -> None:
    """The streams are pinned: SHA-256 of the coordinates, NumPy's Philox, and these numbers on any machine."""
    seed = int.from_bytes(sha256(b'[1,"batches",0,1]').digest()[:16], "big")
    assert derive("batches", 0, 1) == seed == 301150233539496658435735711069790529585
    key = int.from_bytes(sha256(b'[1,"evaluation","a",0,"report",0,"normal","w",""]').digest()[:16], "big")
    assert chip().normal("w", (3,)).tolist() == pytest.approx([-1.012649, -0.909441, -0.458961], abs=1e-6)
    assert chip().normal("w", (3,)).tolist() == philox(key).standard_normal(3, np.float32).tolist()
    key = int.from_bytes(sha256(b'[1,"evaluation","a",0,"report",0,"uniform","w",""]').digest()[:16], "big")
    assert chip().uniform("w", (3,)).tolist() == philox(key).random(3, np.float32).tolist()


@pytest.mark.parametrize(
    "other",
    [chip("b"), chip(seed=1), chip(purpose="selection"), chip(draw=1)],
    ids=["backbone", "seed", "purpose", "draw"],
)
def test_every_coordinate_makes_another_chip(other: EvaluationChance) -> None:
    """Chips that differ in any coordinate are uncorrelated."""
    first, second = (each.normal("w", SHAPE).flatten().numpy() for each in (chip(), other))
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(first.size)


def test_the_order_of_draws_does_not_matter() -> None:
    """A parameter's numbers are the same whatever was drawn before it."""
    first, second = chip(), chip()
    second.normal("before", (1000,))
    second.uniform("w", SHAPE, field="stuck")
    assert torch.equal(first.normal("w", SHAPE), second.normal("w", SHAPE))


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("make", ["chip", "training"])
def test_parameters_and_fields_are_independent(make: str, kind: str) -> None:
    """Another parameter, or another field of the same one, draws numbers that are uncorrelated, on chips and in training."""
    chance = {"chip": chip, "training": training}[make]()
    draw = getattr(chance, kind)
    own, other, second = (t.flatten() for t in (draw("w", SHAPE), draw("v", SHAPE), draw("w", SHAPE, field="second")))
    for values in (other, second):
        assert abs(np.corrcoef(own, values)[0, 1]) < 5 / np.sqrt(own.numel())


def test_all_strengths_share_one_draw_and_cannot_spoil_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked twice for the same numbers a chip draws once, and writing to what it hands out changes nothing for others."""
    chance = chip()
    first = chance.normal("w", SHAPE)
    monkeypatch.setattr("numpy.random.Philox", None)
    kept = first.clone()
    first.mul_(100)
    assert torch.equal(chance.anew().normal("w", SHAPE), kept)


@pytest.mark.parametrize("make", [lambda: chip(), lambda: training()], ids=["evaluation", "training"])
@pytest.mark.parametrize("first", ["normal", "uniform", "generator"])
@pytest.mark.parametrize("second", ["normal", "uniform", "generator"])
def test_a_number_is_drawn_once(make: Callable[[], Chance], first: str, second: str) -> None:
    """One (parameter, field) asked for twice is refused, in whatever kind; another parameter or field is not."""

    def ask(chance: Chance, kind: str, parameter: str, field: str) -> None:
        shape = () if kind == "generator" else ((3,),)
        getattr(chance, kind)(parameter, *shape, field=field)

    chance = make()
    ask(chance, first, "w", "a")
    for parameter, field in (("v", "a"), ("w", "b")):
        ask(chance, second, parameter, field)
    with pytest.raises(ValueError, match=r"'w', field 'a', was drawn already.*chance.part\(name\)"):
        ask(chance, second, "w", "a")


@pytest.mark.parametrize("make", [lambda: chip(), lambda: training()], ids=["evaluation", "training"])
def test_parts_samples_and_reads_are_independent(make: Callable[[], Chance]) -> None:
    """Parts by name and at any depth, samples by number and reads draw numbers of their own, and the same ones again."""

    def draws() -> list[Tensor]:
        chance = make()
        below = [chance, chance.part("a"), chance.part("b"), chance.part("a").part("b"), chance.sample(1), chance.read]
        below += [chance.read.part("a"), chance.part("a").read, chance.part("a").sample(1), chance.sample(2)]
        return [each.normal("w", SHAPE).flatten() for each in below]

    first, again = draws(), draws()
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    correlations = np.corrcoef(torch.stack(first).numpy()) - np.eye(len(first))
    assert np.abs(correlations).max() < 5 / np.sqrt(first[0].numel())


@pytest.mark.parametrize("make", [lambda: chip(), lambda: training()], ids=["evaluation", "training"])
def test_a_part_is_one_chance_however_often_it_is_named(make: Callable[[], Chance]) -> None:
    """Two components that are given the same part are refused the same numbers."""
    chance = make()
    chance.part("a").normal("w", (3,))
    with pytest.raises(ValueError, match="drawn already"):
        chance.part("a").normal("w", (3,))


def test_reads_of_a_chip_differ_and_its_programming_does_not() -> None:
    """At another read of one chip what was programmed is the same, and what is read is new and not kept."""
    chance = chip()
    first, other, again = (chance.anew(reads=reads) for reads in (0, 1, 0))
    assert torch.equal(first.normal("w", SHAPE), other.normal("w", SHAPE))
    numbers = first.read.normal("w", SHAPE)
    assert not torch.equal(numbers, other.read.normal("w", SHAPE))
    assert torch.equal(numbers, again.read.normal("w", SHAPE))
    assert len(chance._kept) == 1


def test_normals_and_uniforms_of_a_parameter_are_independent() -> None:
    """Both kinds may be drawn for one parameter, under a field each."""
    for chance in (chip(), training()):
        normal, uniform = chance.normal("w", SHAPE).flatten(), chance.uniform("w", SHAPE, field="u").flatten()
        for values in (normal, normal.abs()):
            assert abs(np.corrcoef(values, uniform)[0, 1]) < 5 / np.sqrt(uniform.numel())


def test_a_chip_is_freed_at_once() -> None:
    """Without waiting for the garbage collector: a chip of ResNet-18 holds 45 MB."""
    chance = chip()
    chance.normal("w", SHAPE)
    gone = weakref.ref(chance)
    del chance
    assert gone() is None


def training(step: int = 0, strides: tuple[int, ...] = (288, 9, 3, 1), seed: int = 0) -> TrainingChance:
    return TrainingChance(seed, step, {"w": (torch.Size(SHAPE), strides)}, device="cpu")


@pytest.mark.parametrize("chance", [chip(), training()], ids=["evaluation", "training"])
def test_the_distributions_are_what_they_are_called(chance: EvaluationChance | TrainingChance) -> None:
    """Normals and uniforms pass a Kolmogorov–Smirnov test against their distribution (scipy)."""
    assert stats.kstest(chance.normal("w", SHAPE).flatten().numpy(), "norm").pvalue > 0.001
    assert stats.kstest(chance.uniform("w", SHAPE, field="u").flatten().numpy(), "uniform").pvalue > 0.001


def test_training_noise_has_the_strides_of_its_weight() -> None:
    """Noise for a channels_last weight is laid out like it, so that adding the two is one linear pass."""
    like = torch.empty(SHAPE).to(memory_format=torch.channels_last)
    noise = training(strides=like.stride()).normal("w", SHAPE)
    assert noise.stride() == like.stride()
    assert noise.shape == like.shape


def test_training_steps_and_samples_are_independent_and_repeatable() -> None:
    """Each step and each sample of a step draws anew, and the same again when the step is repeated."""
    first = training(step=3).normal("w", SHAPE)
    assert torch.equal(first, training(step=3).normal("w", SHAPE))
    for other in (training(step=4), training(step=3).sample(1), training(step=3, seed=1)):
        assert abs(np.corrcoef(first.flatten(), other.normal("w", SHAPE).flatten())[0, 1]) < 5 / np.sqrt(first.numel())


def test_generators_follow_the_same_coordinates() -> None:
    """`generator` is for other distributions, and as repeatable as the rest."""
    draws = [
        torch.rand(5, generator=chance.generator(name))
        for chance, name in ((chip(), "w"), (chip(), "w"), (chip(), "v"))
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
