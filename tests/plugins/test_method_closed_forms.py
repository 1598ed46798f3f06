"""Methods on L(w) = ½ wᵀAw, where the gradient of a step is known, and their choices on cases counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nrbench import Clock, Method, Step
from nrbench.testing.samples import gradients
from nrbench_methods import (
    AESAM,
    ARWP,
    ASAM,
    AWP,
    DAMP,
    ESAM,
    FSAM,
    GSAM,
    LPFSGD,
    SAM,
    AntiPGD,
    Averaged,
    FisherSAM,
    HardwareAware,
    LookSAM,
    NoiseInjection,
    SAMPa,
    SparseSAM,
)
from nrbench_noise import Laplace
from tests.plugins.test_methods_related import NoNorm, trained
from tests.plugins.test_nrbench_methods import A, Quadratic, W, gradient_of, step

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


class Sums(nn.Module):
    """Outputs wᵀx, which are the losses."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, size, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


def summed(images: list[list[float]], **changes: Any) -> Step:
    """A step on images of which each is its own gradient."""

    def loss(outputs: Tensor, labels: Tensor, *, reduction: str = "mean") -> Tensor:
        return outputs.mean() if reduction == "mean" else outputs[:, 0]

    x = torch.tensor(images, dtype=torch.float64)
    labels = torch.zeros(len(images), dtype=torch.int64)
    return step(Sums(x.shape[1]), images=x, labels=labels, criterion=loss, **changes)


def test_esam_takes_the_images_that_rise_most() -> None:
    """With losses wx the rise of an image is ρx: of x = 1, 2, 3, -1 the half that counts is 2 and 3, of gradient 2.5."""
    given = summed([[1.0], [2.0], [3.0], [-1.0]])
    ESAM(rho=0.1, beta=1.0, gamma=0.5).backward(given)
    assert gradients(given)["weight"].item() == 2.5


def test_a_fisher_mask_is_of_the_largest_sums_of_squares() -> None:
    """Two images with the gradients (3, 0, 1, 2) and (0, 1, 1, 2) have squares that sum to 9, 1, 2 and 8."""
    given = summed([[3.0, 0.0, 1.0, 2.0], [0.0, 1.0, 1.0, 2.0]])
    SparseSAM(rho=0.1, sparsity=0.5).backward(given)
    assert given.state["weight"].tolist() == [[1, 0, 0, 1]]


@pytest.mark.parametrize(("c", "climbs"), [(-1.0, [True, True, True]), (1.0, [True, True, False])])
def test_aesam_climbs_where_the_gradient_is_long(c: float, climbs: list[bool]) -> None:
    """Squares 1, 4 and 1 at a decay of 0.9: means 1, 1.3 and 1.27, variances 0, 0.729 and 0.66339, so thresholds by c."""
    method, given = AESAM(decay=0.9, low=c, high=c), summed([[1.0]])
    squares = [torch.tensor(square, dtype=torch.float64) for square in (1.0, 4.0, 1.0)]
    assert [method._is_long(given, square) for square in squares] == climbs
    assert given.state["mean"].item() == pytest.approx(1.27)
    assert given.state["variance"].item() == pytest.approx(0.66339)


def test_an_average_over_one_epoch_is_the_method() -> None:
    """SWA that begins with the only epoch is judged by the weights at its end."""
    *_, plain = trained(SAM(rho=0.1), NoNorm(), epochs=1)
    *_, mean = trained(Averaged(method=SAM(rho=0.1), start=0.0), NoNorm(), epochs=1)
    for name, weight in plain.weights().items():
        assert torch.equal(weight, mean.weights()[name])
