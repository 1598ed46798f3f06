"""Checks of noise models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from nrbench.base.chance import Chance
from nrbench.families.displacement import Weights
from nrbench.families.noise import NoiseModel
from nrbench.testing.samples import layer_weights, same, sample_weights, simulated_chip, training_chance


def check_noise_is_determined_by_chance(noise: NoiseModel) -> None:
    """The same chance gives the same displacement; another draw gives another one just if it says that it is random."""
    weights = sample_weights()
    first, again, other = (_displacement(noise, weights, simulated_chip(draw)) for draw in (0, 0, 1))
    assert same(first, again), "one chip gives two displacements"
    assert noise.random != same(first, other), f"it says random: {noise.random}, and two draws show otherwise"
    assert not noise.clean or not any(delta.any() for delta in first.values()), "it is clean and displaces weights"


def check_noise_is_read_anew_as_it_says(noise: NoiseModel) -> None:
    """Another read of the same chip gives another displacement just if it says so."""
    weights = sample_weights()
    first, other = (_displacement(noise, weights, simulated_chip(reads=reads)) for reads in (0, 1))
    assert noise.rereads != same(first, other), f"it says rereads: {noise.rereads}, and two reads show otherwise"


def check_noise_asks_for_each_number_once(noise: NoiseModel) -> None:
    """Asked twice with one chance, a random model is refused: nothing it draws comes from elsewhere."""
    if not noise.random:
        return
    for chance in (simulated_chip(0), training_chance(sample_weights())):
        _displacement(noise, sample_weights(), chance)
        with pytest.raises(ValueError, match="drawn already"):
            _displacement(noise, sample_weights(), chance)


def check_noise_is_independent_side_by_side(noise: NoiseModel) -> None:
    """Twice in one model, in parts of its chance, it draws independent numbers, in evaluation and in training."""
    weights = layer_weights({"conv.weight": torch.linspace(-1, 1, 6400).view(64, 4, 5, 5)})
    makers: list[Callable[[int], Chance]] = [simulated_chip, lambda step: training_chance(weights, step=step)]
    for chance_of in makers:
        chances = [chance_of(draw) for draw in range(2)]
        pair = []
        for part in ("first", "second"):
            one, other = (_displacement(noise, weights, chance.part(part)) for chance in chances)
            if not one or not noise.random:
                return
            # the difference of two draws has what is random in it, and nothing that depends on the weight alone
            pair.append((one["conv.weight"] - other["conv.weight"]).flatten().double())
        correlation = torch.corrcoef(torch.stack(pair))[0, 1].item()
        assert abs(correlation) < 5 / 6400**0.5, f"two in one model have a correlation of {correlation:.2f}"


def check_noise_writes_no_weights(noise: NoiseModel) -> None:
    """The weights it is given are bit for bit what they were."""
    weights = sample_weights()
    _displacement(noise, weights, simulated_chip(0))
    assert same(weights, sample_weights()), "the weights were written"


def check_noise_fits_the_weights(noise: NoiseModel) -> None:
    """Every displacement is finite and has the name, shape, data type and device of a weight, in either memory format."""
    for dtype in (torch.float32, torch.float64):
        for memory_format in (torch.contiguous_format, torch.channels_last):
            sample = sample_weights()
            weights = sample.replaced(
                {
                    name: w.to(dtype).to(memory_format=memory_format if w.ndim == 4 else torch.contiguous_format)
                    for name, w in sample.items()
                }
            )
            for chance in (simulated_chip(0), training_chance(weights)):
                for name, delta in _displacement(noise, weights, chance).items():
                    weight = weights[name]
                    found, wanted = ((t.shape, t.dtype, t.device) for t in (delta, weight))
                    assert found == wanted, f"the displacement of {name} is {found}, the weight {wanted}"
                    assert delta.isfinite().all(), f"the displacement of {name} is not finite"


def check_noise_ignores_the_memory_format(noise: NoiseModel) -> None:
    """A simulated chip is the same whether convolutions are stored channels first or channels last."""
    weights = sample_weights()
    last = weights.replaced(
        {name: w.to(memory_format=torch.channels_last) for name, w in weights.items() if w.ndim == 4}
    )
    first, second = (_displacement(noise, each, simulated_chip(0)) for each in (weights, last))
    assert same(first, second), "the memory format changes the noise"


def _displacement(noise: NoiseModel, weights: Weights, chance: Chance) -> Weights:
    delta = noise.displacement(weights, chance=chance)
    assert set(delta) <= set(weights), "a displacement names no weight"
    return delta


CHECKS = (
    check_noise_is_determined_by_chance,
    check_noise_is_read_anew_as_it_says,
    check_noise_asks_for_each_number_once,
    check_noise_is_independent_side_by_side,
    check_noise_writes_no_weights,
    check_noise_fits_the_weights,
    check_noise_ignores_the_memory_format,
)
