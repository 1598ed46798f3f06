"""What probes say they cost against what they do: passes over images counted where a network is asked for something."""

from __future__ import annotations

from typing import Any

import pytest

from nrbench import Images, Network, Probe
from nrbench.testing.probe import sample_network
from nrbench_noise import Gaussian
from nrbench_probes import (
    AdaptiveSharpness,
    AscentSharpness,
    AverageSharpness,
    BatchNormShift,
    ChipYield,
    CriticalLength,
    Curvature,
    Distance,
    Flatness,
    GradientNorm,
    HessianEigenvalue,
    HessianTrace,
    Landscape,
    Performance,
    WeightSize,
)

NOISE = Gaussian(sigma=0.1)
PROBES = [
    Performance(on="test"),
    Performance(on="test", noise=NOISE, draws=3),
    AverageSharpness(noise=NOISE, draws=4),
    AscentSharpness(rho=0.1, group=16),
    AdaptiveSharpness(rho=0.1, group=16),
    GradientNorm(group=16),
    WeightSize(noise=NOISE),
    Distance(),
    BatchNormShift(noise=NOISE, draws=2, calibration=20),
    Curvature(draws=2, images=30),
    HessianTrace(draws=3, images=30),
    HessianEigenvalue(steps=4, images=30),
    CriticalLength(level=50.0, strides=6),
    CriticalLength(level=50.0, strides=6, along="random", draws=2),
    ChipYield(noise=NOISE, draws=5),
    Flatness(noise=NOISE, angles=6),
    Landscape(points=3, images=30, noise=NOISE),
    Landscape(points=5, dimensions=1),
]
COSTS = {
    "losses": 1 / 3,
    "counts": 1 / 3,
    "counts_and_losses": 1 / 3,
    "recalibrated": 1 / 3,
    "gradient": 1.0,
    "hessian_product": 3.0,
}
"""In forward-backward passes over an image: forward is one part of three, a product with the Hessian three times a gradient."""


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: f"{probe.name}")
def test_a_probe_costs_what_it_says(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The passes that it makes are those that it states, which a plan adds up; where it may stop early, no more than those."""
    network, data, chips = sample_network()
    spent = [0.0]
    for asked, cost in COSTS.items():
        whole = getattr(Network, asked)

        def counted(own: Network, images: Images, *more: Any, whole: Any = whole, cost: float = cost) -> Any:
            spent[0] += cost * len(images)
            return whole(own, images, *more)

        monkeypatch.setattr(Network, asked, counted)
    probe.measured(network, data.splits, chips)
    stated = probe.passes({name: len(split) for name, split in data.splits.items()})
    if isinstance(probe, CriticalLength):  # the level is not reached here, so that nothing is halved
        assert 0.4 * stated < spent[0] <= stated
    else:
        assert spent[0] == pytest.approx(stated, rel=0.05)
