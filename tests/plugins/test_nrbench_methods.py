from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from pytorch_optimizer import SAM as ReferenceSAM
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrbench import Chance, Clock, Layer, Layout, Method, State, Step
from nrbench.base.chance import TrainingChance
from nrbench.families.schedule import Constant, Linear, OffToOn
from nrbench_methods import RWP, SAM, SGD, NoiseInjection, Ramped
from nrbench_noise import Gaussian, Laplace

ROOT = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
A = ROOT @ ROOT.T + torch.eye(5)
W = torch.linspace(-1, 2, 5, dtype=torch.float64)


class Quadratic(nn.Module):
    """½ wᵀAw, whatever the input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(W.clone().view(1, 5))

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * self.weight @ A @ self.weight.T


def step(model: nn.Module, number: int = 0, *, progress: float = 0.0, **changes: Any) -> Step:
    layout = {name: (p.shape, p.stride()) for name, p in model.named_parameters()}
    given: dict[str, Any] = {
        "model": model,
        "images": torch.zeros(1, 1),
        "labels": torch.zeros(1, dtype=torch.int64),
        "criterion": lambda out, labels: out.sum(),
        "chance": TrainingChance(0, number, layout, device="cpu"),
        "state": State(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "clock": Clock(step=round(10 * progress), total=10),
        "layout": Layout({"weight": Layer("weight")}) if isinstance(model, Quadratic) else None,
    }
    return Step(**given | changes)


def gradient_of(method: Method, model: nn.Module, number: int = 0, **changes: Any) -> Tensor:
    model.zero_grad()
    method.backward(step(model, number, **changes))
    (parameter,) = model.parameters()
    assert parameter.grad is not None
    return parameter.grad.flatten()


def test_sgd_on_a_quadratic() -> None:
    """SGD's gradient of ½ wᵀAw is Aw."""
    assert torch.allclose(gradient_of(SGD(), Quadratic()), A @ W)


def test_sam_on_a_quadratic() -> None:
    """SAM's gradient of ½ wᵀAw is A(w + ρ Aw / ‖Aw‖)."""
    expected = A @ (W + 0.3 * A @ W / (A @ W).norm())
    assert torch.allclose(gradient_of(SAM(rho=0.3), Quadratic()), expected, rtol=1e-10)


@pytest.mark.parametrize("noise", [Gaussian(sigma=1.0), Laplace(b=1.0)], ids=lambda noise: noise.name)
def test_rwp_on_a_quadratic(noise: Any) -> None:
    """Over many steps RWP's gradient of ½ wᵀAw is Aw on average, and spreads as A times the noise."""
    model = Quadratic()
    draws = torch.stack([gradient_of(RWP(sigma=0.2, noise=noise), model, number) for number in range(4000)])
    spread = 0.2 * W.abs().max() * A.norm(dim=1) * (2**0.5 if noise.name == "laplace" else 1)
    assert torch.allclose(draws.std(0), spread, rtol=0.1)
    assert ((draws.mean(0) - A @ W).abs() < 4 * spread / 4000**0.5).all()


def network(*, norm: bool) -> nn.Sequential:
    torch.manual_seed(0)
    middle: list[nn.Module] = [nn.BatchNorm1d(6)] if norm else []
    return nn.Sequential(nn.Linear(4, 6), *middle, nn.Tanh(), nn.Linear(6, 3))


def batches(count: int, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    chance = torch.Generator().manual_seed(3)
    return [(torch.randn(12, 4, generator=chance, dtype=dtype), torch.arange(12) % 3) for _ in range(count)]


def test_five_sam_steps_equal_an_independent_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five steps with momentum and weight decay equal those of pytorch_optimizer's SAM in float64, to 1e-12."""
    ours, theirs = network(norm=False).double(), network(norm=False).double()
    settings: dict[str, float] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    optimizer = torch.optim.SGD(ours.parameters(), **settings)
    reference = ReferenceSAM(theirs.parameters(), torch.optim.SGD, rho=0.2, **settings)
    for x, y in batches(5, torch.float64):
        SAM(rho=0.2).backward(step(ours, images=x, labels=y, criterion=cross_entropy))
        optimizer.step()
        optimizer.zero_grad()
        cross_entropy(theirs(x), y).backward()
        with monkeypatch.context() as patched:
            patched.setattr(Tensor, "float", Tensor.double)  # it would round the gradient's norm to float32
            reference.first_step(zero_grad=True)
        cross_entropy(theirs(x), y).backward()
        reference.second_step(zero_grad=True)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_five_sam_steps_with_batch_norm_equal_a_loop_written_out() -> None:
    """With BatchNorm, weights and running statistics equal those of a loop that perturbs in place and restores a copy.

    The statistics are those of the first pass alone.
    """
    ours, theirs = network(norm=True).double(), network(norm=True).double()
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9) for model in (ours, theirs)]
    for x, y in batches(5, torch.float64):
        SAM(rho=0.2).backward(step(ours, images=x, labels=y, criterion=cross_entropy))
        cross_entropy(theirs(x), y).backward()
        statistics = {name: buffer.clone() for name, buffer in theirs.named_buffers()}
        with torch.no_grad():
            saved = [p.clone() for p in theirs.parameters()]
            length = torch.cat([p.grad.flatten() for p in theirs.parameters()]).norm()
            for p in theirs.parameters():
                p += 0.2 * p.grad / length
        theirs.zero_grad()
        cross_entropy(theirs(x), y).backward()
        with torch.no_grad():
            for p, before in zip(theirs.parameters(), saved, strict=True):
                p.copy_(before)
            for name, buffer in theirs.named_buffers():
                buffer.copy_(statistics[name])
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    for name, value in ours.state_dict().items():
        assert torch.allclose(value.double(), theirs.state_dict()[name].double(), rtol=0, atol=1e-12), name


def test_rwp_scales_any_registered_noise() -> None:
    """σ multiplies the displacement of the noise model that RWP is given; noise injection takes it as it is."""
    model = Quadratic()
    scaled = gradient_of(RWP(sigma=0.3, noise=Laplace(b=1.0)), model)
    injected = gradient_of(NoiseInjection(noise=Laplace(b=0.3)), model)
    assert torch.allclose(scaled, injected, rtol=1e-6)


@pytest.mark.parametrize("method", [SAM(rho=0.3), RWP(sigma=0.2), NoiseInjection(noise=Gaussian(sigma=0.2))])
def test_a_ramp_scales_the_strength(method: Method) -> None:
    """Half way up a linear ramp the gradient is that of half the strength; at its end that of the method itself."""
    model = Quadratic()
    ramped = Ramped(method=method, schedule=Linear(until=1.0))
    half = gradient_of(ramped, model, progress=0.5)
    assert torch.equal(half, gradient_of(method, model, strength=0.5))
    assert torch.equal(gradient_of(ramped, model, progress=1.0), gradient_of(method, model))


@pytest.mark.parametrize("method", [SAM(rho=0.3), RWP(sigma=0.2)])
def test_a_ramp_at_0_is_sgd_in_one_pass(method: Method) -> None:
    """Where the schedule is 0 the gradient is SGD's, bit for bit, at the cost of one pass."""
    model = Quadratic()
    done = step(model, progress=0.2)
    Ramped(method=method, schedule=OffToOn(until=0.5)).backward(done)
    assert done.passes == 1
    assert torch.equal(model.weight.grad.flatten(), gradient_of(SGD(), model))


def test_ramps_nest() -> None:
    """A ramp of a ramp multiplies their factors."""
    model = Quadratic()
    inner = Ramped(method=SAM(rho=0.3), schedule=Linear(until=1.0))
    nested = gradient_of(Ramped(method=inner, schedule=Linear(until=1.0)), model, progress=0.5)
    assert torch.equal(nested, gradient_of(SAM(rho=0.3), model, strength=0.25))


def test_only_a_rampable_method_can_be_ramped() -> None:
    """A method that is not SGD at strength 0 is refused."""

    class Always(SGD):
        rampable = False

    with pytest.raises(ValidationError, match="cannot be ramped"):
        Ramped(method=Always(), schedule=Constant())


def test_sam_in_a_flat_spot_stays_finite() -> None:
    """With a zero gradient there is no direction to climb, and nothing is divided by zero."""

    class Flat(Quadratic):
        def forward(self, x: Tensor) -> Tensor:
            return 0 * self.weight.sum().view(1, 1)

    assert torch.equal(gradient_of(SAM(rho=0.3), Flat()), torch.zeros(5, dtype=torch.float64))


def test_rwp_samples_draw_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """With several samples each part of the batch has a chance of its own."""
    seen: list[Chance] = []
    original = Gaussian.displacement

    def spy(self: Gaussian, weights: Any, *, chance: Chance) -> Any:
        seen.append(chance)
        return original(self, weights, chance=chance)

    monkeypatch.setattr(Gaussian, "displacement", spy)
    images, labels = torch.zeros(4, 1), torch.zeros(4, dtype=torch.int64)
    RWP(samples=4).backward(step(Quadratic(), images=images, labels=labels))
    values = {float(chance.normal("x", (1,))) for chance in seen}
    assert len(values) == 4
