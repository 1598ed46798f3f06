from __future__ import annotations

import pytest
import torch
from torch import nn

from nrbench import NONE, Scale, forward_at
from nrbench.families.displacement import moved
from nrbench.testing.samples import layer_weights


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 16, 4))


def test_the_output_is_that_of_a_model_with_displaced_weights() -> None:
    """Running at w + δ equals writing w + δ into a copy, and the gradient arrives at w."""
    model, x = network().eval(), torch.randn(5, 2, 6, 6)
    delta = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    copy = network().eval()
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter += delta[name]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    out, expected = forward_at(model, delta, x), copy(x)
    assert torch.equal(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    for (name, parameter), other in zip(model.named_parameters(), copy.parameters(), strict=True):
        assert torch.equal(parameter.grad, other.grad)
        assert torch.equal(parameter.detach(), before[name])


def test_an_absent_name_is_not_displaced() -> None:
    """A displacement may name some weights only."""
    model, x = network().eval(), torch.randn(5, 2, 6, 6)
    bias = torch.ones(4)
    assert torch.allclose(forward_at(model, {"3.bias": bias}, x), model(x) + 1)
    assert moved(dict(model.named_parameters()), NONE) == {}
    assert set(moved(dict(model.named_parameters()), {"3.bias": bias})) == {"3.bias"}


def test_a_displacement_of_nothing_there_is_refused() -> None:
    """A name that is no parameter would otherwise pass for perfect robustness."""
    with pytest.raises(ValueError, match=r"module\.3\.bias, which the model does not have"):
        forward_at(network(), {"module.3.bias": torch.ones(4)}, torch.randn(5, 2, 6, 6))


@pytest.mark.parametrize("delta", [{}, {"3.bias": torch.ones(4)}], ids=["clean", "displaced"])
def test_frozen_buffers_stay_and_others_move(delta: dict[str, torch.Tensor]) -> None:
    """A pass in training mode updates running statistics, of copies alone when they are frozen; the output is the same."""
    x = torch.randn(5, 2, 6, 6)
    frozen, moving = network().train(), network().train()
    first, second = forward_at(frozen, delta, x, frozen_buffers=True), forward_at(moving, delta, x)
    assert torch.equal(first, second)
    assert torch.equal(frozen[1].running_mean, torch.zeros(3))
    assert not torch.equal(moving[1].running_mean, torch.zeros(3))
    assert (int(frozen[1].num_batches_tracked), int(moving[1].num_batches_tracked)) == (0, 1)


WEIGHTS = {
    "a.weight": torch.tensor([[1.0, -4.0], [0.5, 0.25]]),
    "a.bias": torch.tensor([9.0, 3.0]),
    "norm.weight": torch.tensor([2.0, -5.0]),
}


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (Scale(), {"a.weight": [[4.0], [0.5]]}),
        (Scale(power=0.5), {"a.weight": [[2.0], [0.5**0.5]]}),
        (Scale(by="layer"), {"a.weight": [[4.0], [4.0]]}),
        (Scale(by="model"), {"a.weight": 4.0}),
        (Scale(tensors="matrix_and_bias"), {"a.weight": [[4.0], [0.5]], "a.bias": [4.0, 0.5]}),
        (Scale(tensors="all"), {"a.weight": [[4.0], [0.5]], "a.bias": [4.0, 0.5], "norm.weight": 5.0}),
        (Scale(by="model", tensors="all"), {"a.weight": 9.0, "a.bias": 9.0, "norm.weight": 9.0}),
        (Scale(by="layer", tensors="matrix_and_bias"), {"a.weight": [[4.0], [4.0]], "a.bias": [4.0, 4.0]}),
    ],
    ids=str,
)
def test_units_by_hand(scale: Scale, expected: dict[str, object]) -> None:
    """The unit of each group is the largest magnitude in it, to the power asked for."""
    units = scale.units(layer_weights(WEIGHTS))
    assert list(units) == [name for name in WEIGHTS if name in expected]
    for name, unit in units.items():
        assert torch.allclose(unit, torch.tensor(expected[name]))
        assert torch.broadcast_shapes(unit.shape, WEIGHTS[name].shape) == WEIGHTS[name].shape


def test_a_filter_is_all_that_feeds_one_output() -> None:
    """For a convolution the maximum is over input channels and kernel."""
    weight = torch.randn(6, 3, 3, 3)
    unit = Scale().units(layer_weights({"weight": weight}))["weight"]
    assert unit.shape == (6, 1, 1, 1)
    assert torch.equal(unit.flatten(), weight.abs().flatten(1).amax(1))
