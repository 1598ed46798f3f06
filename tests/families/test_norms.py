"""What belongs to a normalisation is no matrix, whatever its number of dimensions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from nrbench import Chips, Layout, Sgd
from nrbench.families.optimizer import Parameters
from nrbench.testing.samples import layer_weights, sample_step, training_chance
from nrbench_methods import ASAM, AWP
from nrbench_methods.asam import AdaptiveAscent
from nrbench_methods.awp import LayerAscent
from nrbench_methods.lpf_sgd import FilterNoise
from nrbench_methods.vectors import filter_norms
from nrbench_probes.landscape import direction
from tests.families.test_network import network


class RootMeanNorm(nn.Module):
    """A norm of a stranger, known by what its type is called."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(2, 6, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gain * x / x.square().mean((1, 2, 3), keepdim=True).sqrt()


def model(norm: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), norm, nn.Flatten(), nn.Linear(72, 3))


@pytest.mark.parametrize(("norm", "name"), [(nn.LayerNorm([2, 6, 6]), "1.weight"), (RootMeanNorm(), "1.gain")])
def test_a_norm_of_three_dimensions_is_a_vector(norm: nn.Module, name: str, tmp_path: Path) -> None:
    """It is no layer, does not decay with the matrices, stays in a landscape's directions and has one length, not one a filter."""
    net = model(norm)
    layout = Layout.of(net)
    assert name in layout.norms
    assert set(layout.layers) == {"0.weight", "3.weight"}
    groups = Sgd(decay="matrices", weight_decay=0.1).build(Parameters(net)).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(p) for n, p in net.named_parameters() if n in ("0.weight", "3.weight")}
    weights = layout.weights_of(net)
    assert filter_norms(weights)[name].shape == ()
    assert filter_norms(weights)["0.weight"].shape == (2, 1, 1, 1)
    assert set(direction(network(net), Chips("backbone", 0, torch.device("cpu")), 0)) == {"0.weight", "3.weight"}
    gradient = {n: torch.ones_like(w) for n, w in weights.items()}
    chance = training_chance(weights)
    assert name not in LayerAscent(gamma=0.1).displacement(weights, gradient=gradient, chance=chance)
    by_filter = AdaptiveAscent(rho=1.0, eta=0.0, by="filter").displacement(weights, gradient=gradient, chance=chance)
    if "weight" in name:  # T is the size of each factor, 1, and not that of a filter of 36, 6
        assert float(by_filter[name].norm() / by_filter["0.bias"].norm()) == pytest.approx((72 / 2) ** 0.5)
    noise = FilterNoise(gamma=0.1).displacement(weights, gradient=None, chance=chance)
    assert float(noise[name].norm()) == pytest.approx(0.1 * 72**0.5 * 72**0.5, rel=0.3)


@pytest.mark.parametrize("method", [ASAM(rho=0.1), AWP()])
def test_methods_take_parameters_without_dimensions_and_without_numbers(method: ASAM | AWP) -> None:
    """A temperature of shape () and a parameter of shape (0,) get gradients beside those of matrices."""
    net = model(nn.Identity())
    net.temperature, net.nothing = nn.Parameter(torch.tensor(1.5)), nn.Parameter(torch.zeros(0))
    step = sample_step(model=net)
    method.backward(step)
    assert all(p.grad is not None for n, p in net.named_parameters() if n not in ("temperature", "nothing"))


def test_numbers_of_a_step_depend_on_nothing_else_that_is_asked_for() -> None:
    """Whatever the order, and whether a layer is left out, a parameter has the same numbers; two parameters and fields differ."""
    weights = layer_weights({"a.weight": torch.zeros(6, 5), "b.weight": torch.zeros(6, 5), "c.weight": torch.zeros(2)})
    forward, backward, alone = (training_chance(weights) for _ in range(3))
    first = {name: forward.normal(name, weights[name].shape) for name in weights}
    second = {name: backward.normal(name, weights[name].shape) for name in reversed([*weights])}
    assert all(torch.equal(first[name], second[name]) for name in weights)
    assert torch.equal(alone.normal("b.weight", (6, 5)), first["b.weight"])
    assert not torch.equal(first["a.weight"], first["b.weight"])
    assert not torch.equal(forward.normal("a.weight", (6, 5), field="other"), first["a.weight"])
    assert not torch.equal(forward.uniform("a.weight", (6, 5), field="uniform"), first["a.weight"])
