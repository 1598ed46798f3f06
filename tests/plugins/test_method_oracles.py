"""Methods against what their papers say, written out in plain torch: the same weights after eight steps."""

from __future__ import annotations

from functools import partial
from math import cos, pi
from typing import Any

import pytest
import torch
from pytorch_optimizer import GSAM as ReferenceGSAM
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import nrbench_methods as methods
from nrbench import Batch, Clock, Method, State, Step
from nrbench.base.chance import TrainingChance
from nrbench.families.method import own_optimizer
from tests.plugins import method_oracles as oracles
from tests.plugins.method_oracles import DECAY, LR, MOMENTUM, PER_EPOCH, TOTAL, Oracle, Plain

IMAGES, STEPS = 12, 8
"""Images of a batch, and steps, of which five make an epoch."""
TOLERANCE = 1e-12

CASES: dict[str, tuple[Method, Oracle]] = {
    "sam": (methods.SAM(rho=0.2), oracles.sam(0.2)),
    "asam": (methods.ASAM(rho=0.5), oracles.asam(0.5, 0.01, "element")),
    "asam by filter": (methods.ASAM(rho=0.5, by="filter"), oracles.asam(0.5, 0.01, "filter")),
    "asam by layer": (methods.ASAM(rho=0.5, by="layer", eta=0.1), oracles.asam(0.5, 0.1, "layer")),
    "fisher_sam": (methods.FisherSAM(gamma=0.2, eta=30.0), oracles.fisher_sam(0.2, 30.0)),
    "fsam": (methods.FSAM(), oracles.fsam(0.2, 1.0, 0.6)),
    "fsam, another share": (methods.FSAM(sigma=0.5, decay=0.8), oracles.fsam(0.2, 0.5, 0.8)),
    "gsam": (methods.GSAM(rho=0.3, rho_min=0.1), oracles.gsam(0.3, 0.1, 0.4)),
    "rsam": (methods.RSAM(rho=0.2, sigma=0.1), oracles.rsam(0.2, 0.1, 1.0)),
    "looksam": (methods.LookSAM(k=3), oracles.looksam(0.1, 3, 0.7)),
    "esam": (methods.ESAM(rho=0.2), oracles.esam(0.2, 0.6, 0.5)),
    "aesam": (methods.AESAM(rho=0.2), oracles.aesam(0.2, 0.9, -1.0, 1.0)),
    "sparse_sam": (methods.SparseSAM(rho=0.3, samples=3), oracles.fisher_mask(0.3, 0.5, 3, 1)),
    "sampa": (methods.SAMPa(), oracles.sampa(0.1, 0.2)),
    "bsam": (methods.BSAM(parts=3), oracles.bsam(3, 60)),
    "bsam, whole": (methods.BSAM(parts=1), oracles.bsam(1, 60)),
    "awp": (methods.AWP(gamma=0.1), oracles.awp(0.1)),
    "lpf_sgd": (methods.LPFSGD(gamma=0.1, increase=5.0), oracles.lpf_sgd(0.1, 5.0, 1)),
    "lpf_sgd in parts": (methods.LPFSGD(gamma=0.1, samples=3), oracles.lpf_sgd(0.1, 1.0, 3)),
    "arwp": (methods.ARWP(sigma=0.1, eta=3.0), oracles.arwp(0.1, 3.0, 0.99)),
    "m_rwp": (methods.MRWP(sigma=0.1, mix=0.3), oracles.m_rwp(0.1, 0.3)),
    "m_arwp": (methods.MARWP(sigma=0.1, eta=3.0), oracles.m_rwp(0.1, 0.5, 3.0, 0.99)),
    "damp": (methods.DAMP(samples=3), oracles.damp(0.2, 3)),
    "anti_pgd": (methods.AntiPGD(sigma=0.1), oracles.anti_pgd(0.1)),
    "gradient_noise": (methods.GradientNoise(), oracles.gradient_noise(0.01, 0.55)),
    "hardware_aware": (methods.HardwareAware(deviations=1.5), oracles.hardware_aware(0.1, 1.5)),
    "noisy_machines": (methods.NoisyMachines(switch=0.3, labels=0.3), oracles.noisy_machines(0.05, 0.3, 4.0, 3)),
    "entropy_sgd": (methods.EntropySGD(steps=3, noise=0.01), oracles.entropy_sgd(3, 0.1, 0.03, 0.01, 0.75)),
}


def network(*, norm: bool) -> nn.Sequential:
    torch.manual_seed(0)
    middle: list[nn.Module] = [nn.BatchNorm1d(6)] if norm else []
    return nn.Sequential(nn.Linear(4, 6), *middle, nn.Tanh(), nn.Linear(6, 3)).double()


def batches(seed: int) -> list[tuple[Tensor, Tensor]]:
    chance = torch.Generator().manual_seed(seed)
    draw = partial(torch.randn, IMAGES, 4, generator=chance, dtype=torch.float64)
    return [(draw(), torch.arange(IMAGES) % 3) for _ in range(STEPS)]


def run(method: Method, model: nn.Module, count: int = STEPS, *, seed: int = 3) -> State:
    """Make so many steps with a method, as a training does; the learning rate of its clock falls, SGD's stays."""
    settings: dict[str, Any] = {"lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY}
    own, state = own_optimizer(method), State()
    optimizer = own.build(model.parameters()) if own else torch.optim.SGD(model.parameters(), **settings)
    layout = {name: (p.shape, p.stride()) for name, p in model.named_parameters()}
    norm = any(isinstance(module, nn.BatchNorm1d) for module in model.modules())
    for number, ((x, y), other) in enumerate(zip(batches(seed)[:count], batches(4), strict=False)):
        factor = 0.5 * (1 + cos(pi * number / TOTAL))
        if own:
            optimizer.param_groups[0]["lr"] = own.lr * factor
        step = Step(
            model=model, images=x, labels=y, criterion=cross_entropy, state=state, optimizer=optimizer,
            chance=TrainingChance(0, number, layout, device="cpu"), fewest=1 + norm,
            clock=Clock(number, PER_EPOCH, TOTAL, LR, 60, factor), further=lambda index, other=other: Batch(*other),  # type: ignore[misc]
        )  # fmt: skip
        method.backward(step)
        step.finish()
        method.update(step)
        optimizer.zero_grad()
    return state


def written_out(oracle: Oracle, model: nn.Module) -> Plain:
    net = Plain(model, batches=batches(4))
    for number, (x, y) in enumerate(batches(3)):
        net.number = number
        oracle(net, x, y)
    return net


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "with BatchNorm"])
@pytest.mark.parametrize("case", CASES)
def test_eight_steps_equal_a_loop_written_out(case: str, norm: bool) -> None:
    """In float64, with momentum and weight decay, weights and running statistics are the same to 1e-12."""
    assert largest_difference(case, norm=norm) <= TOLERANCE


def largest_difference(case: str, *, norm: bool) -> float:
    """Return by how much weights and running statistics differ at most after eight steps, which have moved all of them."""
    method, oracle = CASES[case]
    if norm and case == "sparse_sam":
        oracle = oracles.fisher_mask(0.3, 0.5, 3, 2)
    ours, theirs = network(norm=norm), network(norm=norm)
    run(method, ours)
    net = written_out(oracle, theirs)
    start, others = network(norm=norm).state_dict(), theirs.state_dict()
    assert all((others[name] - start[name]).abs().max() > 1e-4 for name, _ in theirs.named_parameters())
    if case == "aesam":
        assert {True, False} <= set(net.kept["climbed"])
    return max(float((value.double() - others[name].double()).abs().max()) for name, value in ours.state_dict().items())


def test_gsam_equals_an_independent_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight steps with BatchNorm, momentum and weight decay equal those of pytorch_optimizer's GSAM in float64, to 1e-11."""

    class Fixed:
        """A radius that stays."""

        def step(self) -> float:
            return 0.2

    ours, theirs = network(norm=True), network(norm=True)
    run(methods.GSAM(rho=0.2, alpha=0.4), ours)
    base = torch.optim.SGD(theirs.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    reference = ReferenceGSAM(theirs.parameters(), base, theirs, Fixed(), alpha=0.4)
    for x, y in batches(3):
        with monkeypatch.context() as patched:
            patched.setattr(Tensor, "float", Tensor.double)  # it would round the gradient's norm to float32
            reference.set_closure(cross_entropy, x, y)
            reference.step()
    for name, value in ours.state_dict().items():
        if "num_batches" not in name:  # which it counts in both passes
            assert torch.allclose(value, theirs.state_dict()[name], rtol=0, atol=1e-11), name
