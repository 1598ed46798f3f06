"""Methods on L(w) = ½ wᵀAw, where the gradient of a step is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nrbench import Clock, Method
from nrbench_methods import (
    ARWP,
    ASAM,
    AWP,
    DAMP,
    FSAM,
    GSAM,
    LPFSGD,
    AntiPGD,
    FisherSAM,
    HardwareAware,
    LookSAM,
    NoiseInjection,
    SAMPa,
)
from nrbench_noise import Laplace
from tests.plugins.test_nrbench_methods import A, Quadratic, W, gradient_of

G = A @ W
UNIT = G / G.norm()
T = W.abs() + 0.01
LR = 0.1


def gradient_at(displacement: Tensor) -> Tensor:
    return A @ (W + displacement)


CLIMBED = gradient_at(0.3 * UNIT)
ASCENTS: dict[str, tuple[Method, Tensor]] = {
    "asam": (ASAM(rho=0.3), gradient_at(0.3 * T**2 * G / (T * G).norm())),
    "asam by filter": (ASAM(rho=0.3, by="filter"), gradient_at(0.3 * (W.norm() + 0.01) * UNIT)),
    "fisher_sam": (FisherSAM(gamma=0.3), gradient_at(0.3 * G / (1 + G**2) / (G**2 / (1 + G**2)).sum().sqrt())),
    "awp": (AWP(gamma=0.02), gradient_at(0.02 * W.norm() * UNIT)),
    "gsam": (GSAM(rho=0.3, alpha=0.4), CLIMBED - 0.4 * (G - (G @ CLIMBED) / (CLIMBED @ CLIMBED) * CLIMBED)),
    "sampa": (SAMPa(rho=0.3, mix=0.2), 0.8 * CLIMBED + 0.2 * gradient_at(-LR * G)),
    "fsam, first step": (FSAM(rho=0.3), CLIMBED),
    "looksam, first step": (LookSAM(rho=0.3), CLIMBED),
}


@pytest.mark.parametrize("case", ASCENTS)
def test_an_ascent(case: str) -> None:
    """The gradient is A(w + ε), with the method's own ε of g = Aw, and whatever else the method makes of the two."""
    method, expected = ASCENTS[case]
    clock = Clock(step=0, total=10, lr=LR)
    assert torch.allclose(gradient_of(method, Quadratic(), clock=clock), expected, rtol=1e-10)


NOISES: dict[str, tuple[Method, Tensor]] = {
    "lpf_sgd": (LPFSGD(gamma=0.1), 0.1 * W.norm() * A.norm(dim=1)),
    "arwp, first step": (ARWP(sigma=0.1), 0.1 * W.norm() * A.norm(dim=1)),
    "anti_pgd": (AntiPGD(sigma=0.1), 0.1 * A.norm(dim=1)),
    "damp": (DAMP(sigma=0.1), 0.1 * (A * W).norm(dim=1)),
    "hardware_aware": (HardwareAware(sigma=0.1), 0.1 * W.abs().max() * A.norm(dim=1)),
    "noise_injection, Laplace": (NoiseInjection(noise=Laplace(b=0.1)), 2**0.5 * 0.1 * W.abs().max() * A.norm(dim=1)),
}


@pytest.mark.parametrize("case", NOISES)
def test_noise(case: str) -> None:
    """Over 2,000 steps the gradient is Aw on average and spreads as A times the noise, in the method's own units."""
    method, spread = NOISES[case]
    draws = torch.stack([gradient_of(method, Quadratic(), number) for number in range(2000)])
    assert torch.allclose(draws.std(0), spread, rtol=0.1)
    assert ((draws.mean(0) - G).abs() < 4 * spread / 2000**0.5).all()
