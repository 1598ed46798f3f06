"""The plugin keeps the contract of nrbench, and its noise has the moments it promises."""

import pytest
import torch
from nrbench_example import Antithetic, LogNormal, PlainNet

from nrbench.testing import layer_weights, parametrize_with_checks, simulated_chip


@parametrize_with_checks([LogNormal(sigma=0.3), Antithetic(), PlainNet()])
def test_conformance(component, check):
    """Each component passes the checks that concern it."""
    check(component)


def test_moments():
    """The mean of a weight stays, and its relative standard deviation is √(exp(σ²) - 1)."""
    weights = layer_weights({"weight": torch.full((400, 500), -2.0)})
    stored = -2 + LogNormal(sigma=0.3).displacement(weights, chance=simulated_chip())["weight"]
    assert stored.mean().item() == pytest.approx(-2, rel=0.01)
    assert stored.std().item() / 2 == pytest.approx((torch.tensor(0.09).exp() - 1).sqrt().item(), rel=0.02)
    assert (stored < 0).all()
