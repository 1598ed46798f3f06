"""Probes against closed forms, on L(w) = ½ wᵀAw, and against loops written out here."""

from __future__ import annotations

from copy import deepcopy
from math import cos, pi, sin
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from nrbench import Chips, Images, Network, ObservedStep, State, Step
from nrbench.base.chance import TrainingChance
from nrbench_noise import Gaussian
from nrbench_probes import (
    AdaptiveSharpness,
    AscentSharpness,
    AverageSharpness,
    BatchNormShift,
    ChipYield,
    CriticalLength,
    Curvature,
    Flatness,
    GradientCosine,
    GradientNorm,
    HessianEigenvalue,
    HessianTrace,
    Landscape,
    Performance,
    UpdateGradient,
    WeightSize,
)

SIZE = 6
IMAGES = Images(torch.zeros(40, 1, 2, 2, dtype=torch.uint8), torch.arange(40) % SIZE)
DATA: Any = {"train": IMAGES, "validation": IMAGES[:10], "test": IMAGES[:20]}
COUNTS = {"train": 40, "validation": 10, "test": 20}


@pytest.fixture
def curvature() -> Tensor:
    """A, symmetric and positive."""
    root = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    return root @ root.T / SIZE


@pytest.fixture
def network(curvature: Tensor) -> Network:
    """A layer whose output is its weights w, with the loss ½ wᵀAw for every image."""
    model = nn.Linear(1, SIZE, bias=False).eval()
    with torch.no_grad():
        model.weight.copy_(torch.randn(SIZE, 1, generator=torch.Generator().manual_seed(2)))

    def criterion(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
        each = 0.5 * ((logits @ curvature) * logits).sum(1)
        return each if reduction == "none" else each.mean()

    return Network(
        model=model,
        prepare=lambda images: torch.ones(len(images), 1),
        criterion=criterion,  # type: ignore[arg-type]
        batch=7,
    )


def w(network: Network) -> Tensor:
    (weight,) = network.weights().values()
    return weight.detach().double().flatten()


def chips() -> Chips:
    return Chips("backbone", 0, torch.device("cpu"))


def test_ascent_sharpness(network: Network, curvature: Tensor) -> None:
    """With g = Aw it is ρ‖g‖ + ½ρ²·gᵀAg/‖g‖², whatever the groups, since every image has the same loss."""
    A, rho = curvature.double(), 0.3
    g = A @ w(network)
    expected = rho * g.norm() + 0.5 * rho**2 * (g @ A @ g) / (g @ g)
    for group in (7, 40, 128):
        found = AscentSharpness(rho=rho, group=group).measured(network, DATA, chips())
        assert found["sharpness"] == pytest.approx(float(expected), rel=1e-5)
        assert found["loss"] == pytest.approx(float(0.5 * w(network) @ A @ w(network)), rel=1e-5)


def test_average_sharpness(network: Network, curvature: Tensor) -> None:
    """Its expectation is ½·tr(AΣ); one standard deviation of each filter is σ times its weight, the largest of it."""
    sigma, A = 0.2, curvature.double()
    expected = 0.5 * (A.diag() * (sigma * w(network).abs()) ** 2).sum()
    found = AverageSharpness(noise=Gaussian(sigma=sigma), draws=6000, images=1).measured(network, DATA, chips())
    spread = float((A @ w(network) * sigma * w(network).abs()).norm()) / 6000**0.5  # the linear term's standard error
    assert found["sharpness"] == pytest.approx(float(expected), abs=4 * spread)
    again = AverageSharpness(noise=Gaussian(sigma=sigma), draws=6000, images=1).measured(network, DATA, chips())
    assert again == found


def test_adaptive_sharpness(network: Network, curvature: Tensor) -> None:
    """ε = ρ·T²g/‖Tg‖ with T = |w| + η has ‖T⁻¹ε‖ = ρ, and the rise is gᵀε + ½εᵀAε."""
    A, rho, eta = curvature.double(), 0.3, 0.1
    T, g = w(network).abs() + eta, A @ w(network)
    epsilon = rho * T**2 * g / (T * g).norm()
    assert float((epsilon / T).norm()) == pytest.approx(rho)
    found = AdaptiveSharpness(rho=rho, eta=eta, group=11).measured(network, DATA, chips())
    assert found["sharpness"] == pytest.approx(float(g @ epsilon + 0.5 * epsilon @ A @ epsilon), rel=1e-5)


def test_adaptive_sharpness_does_not_see_a_change_of_scale() -> None:
    """Two layers of which one is made larger and the next smaller are one function, and as sharp; to a plain step they are not."""

    def sharpness(scale: float, probe: AscentSharpness) -> float:
        torch.manual_seed(3)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, SIZE, bias=False)
        ).eval()
        with torch.no_grad():
            model[1].weight.mul_(scale)
            model[3].weight.div_(scale)
        images = Images(torch.arange(160, dtype=torch.uint8).view(40, 1, 2, 2), IMAGES.labels)
        network = Network(model, lambda x: x.float() / 100, nn.functional.cross_entropy, batch=40)  # type: ignore[arg-type]
        return probe.measured(network, {**DATA, "train": images}, chips())["sharpness"]

    adaptive, plain = AdaptiveSharpness(rho=0.5), AscentSharpness(rho=0.5)
    assert sharpness(4.0, adaptive) == pytest.approx(sharpness(1.0, adaptive), rel=1e-3)
    assert sharpness(4.0, plain) != pytest.approx(sharpness(1.0, plain), rel=0.1)


def test_curvature_along_the_gradient_and_across(network: Network, curvature: Tensor) -> None:
    """Along g = Aw it is gᵀAg/‖g‖²; over random z its mean is tr(A)/6."""
    A = curvature.double()
    g = A @ w(network)
    found = Curvature(draws=2000, images=3).measured(network, DATA, chips())
    assert found["along_gradient"] == pytest.approx(float(g @ A @ g / (g @ g)), rel=1e-5)
    assert found["along_random"] == pytest.approx(float(A.trace()) / SIZE, rel=0.05)


def test_trace_and_eigenvalues(network: Network, curvature: Tensor) -> None:
    """Those of A: the trace by so many directions of ±1, the eigenvalues to rounding once there are six steps, and never beyond."""
    values = torch.linalg.eigvalsh(curvature.double())
    found = HessianTrace(draws=3000, images=3).measured(network, DATA, chips())
    assert found["trace"] == pytest.approx(float(values.sum()), rel=0.03)
    whole = HessianEigenvalue(steps=30, images=9).measured(network, DATA, chips())
    assert whole["largest"] == pytest.approx(float(values[-1]), rel=1e-5)
    assert whole["smallest"] == pytest.approx(float(values[0]), abs=1e-5 * float(values[-1]))
    few = HessianEigenvalue(steps=3, images=9).measured(network, DATA, chips())
    assert values[0] < few["smallest"] < few["largest"] < values[-1]


def test_a_product_with_the_hessian_of_a_network_with_batches(normalised: Network) -> None:
    """It is the one that torch.func finds of the mean loss over all images at once."""
    images = Images(
        torch.arange(24 * 64, dtype=torch.int64).remainder(251).to(torch.uint8).view(24, 1, 8, 8),
        IMAGES.labels[:24] % 3,
    )
    weights = {name: tensor.clone() for name, tensor in normalised.weights().items()}
    torch.manual_seed(0)
    v = {name: torch.randn_like(tensor) for name, tensor in weights.items()}

    def loss(state: dict[str, Tensor]) -> Tensor:
        logits = torch.func.functional_call(normalised.model, state, normalised.prepare(images.images))
        return normalised.criterion(logits, images.labels)

    _, product = torch.func.vjp(torch.func.grad(loss), weights)
    (expected,) = product(v)  # H is symmetric
    found = normalised.hessian_product(images, v)
    assert all(torch.allclose(found[name], expected[name], atol=2e-5, rtol=1e-3) for name in weights)
    assert any(bool(part.abs().max() > 1e-2) for part in expected.values())


@pytest.mark.parametrize("along", ["gradient", "random"])
def test_critical_length(network: Network, curvature: Tensor, along: Literal["gradient", "random"]) -> None:
    """Along a unit vector u the loss is L + t·gᵀu + ½t²·uᵀAu, which is at the level where that says."""
    A = curvature.double()
    g, here = A @ w(network), float(0.5 * w(network) @ A @ w(network))
    level = here + 2.0
    u = g if along == "gradient" else chips().chip("probe", 0).normal("weight", (SIZE, 1)).double().flatten()
    u = u / u.norm()
    slope, bend = float(g @ u), float(u @ A @ u)
    expected = (-slope + (slope**2 + 4 * bend) ** 0.5) / bend
    probe = CriticalLength(level=level, along=along, longest=20.0, halvings=12, draws=1)
    found = probe.measured(network, DATA, chips())
    assert found == {"length": pytest.approx(expected, abs=20 / 20 / 2**12), "reached": 1.0}
    assert CriticalLength(level=here - 0.1).measured(network, DATA, chips()) == {"length": 0.0, "reached": 1.0}
    assert CriticalLength(level=level, longest=0.5 * expected, along=along, draws=1).measured(
        network, DATA, chips()
    ) == {"reached": 0.0}


def test_yield(network: Network) -> None:
    """The copies that lose no more than so many points, counted here."""
    noise = Gaussian(sigma=2.0)
    clean = network.counts(IMAGES[:20])
    counts = [network.under(noise, chips().chip("probe", draw)).counts(IMAGES[:20]) for draw in range(30)]
    expected = sum(100 * (clean - count) / 20 <= 4 for count in counts) / 0.3
    assert len(set(counts)) > 1
    assert ChipYield(noise=noise, draws=30, within=4).measured(network, DATA, chips()) == {
        "yield": pytest.approx(expected)
    }


def test_a_landscape_is_the_loop_that_one_would_write(normalised: Network) -> None:
    """Every filter of a direction has the length that it has in w, what has one dimension stays, and each place is the loss there."""
    images = Images(torch.arange(24 * 64).remainder(251).to(torch.uint8).view(24, 1, 8, 8), IMAGES.labels[:24] % 3)
    weights = dict(normalised.weights())
    plane = []
    for number in (0, 1):
        chance, d = chips().chip("landscape", number), {}
        for name, weight in weights.items():
            if weight.ndim > 1:
                d[name] = chance.normal(name, weight.shape)
                for filter_, own in zip(d[name], weight, strict=True):
                    filter_ *= own.norm() / (filter_.norm() + 1e-10)
        plane.append(d)
    assert set(plane[0]) < set(weights)
    probe = Landscape(points=4, reach=0.9, images=24, noise=Gaussian(sigma=0.2))
    found = probe.measured(normalised, {**DATA, "train": images}, chips())

    def loss(a: float, b: float) -> float:
        model = deepcopy(normalised.model)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in plane[0]:
                    parameter.add_(a * plane[0][name] + b * plane[1][name])
            return float(nn.functional.cross_entropy(model(images.images.float() / 255), images.labels))

    steps = [-0.9, -0.3, 0.3, 0.9]
    assert probe.axes() == (pytest.approx(steps), pytest.approx(steps))
    for x, a in enumerate(steps):
        for y, b in enumerate(steps):
            assert found[f"{x},{y}"] == pytest.approx(loss(a, b), rel=1e-4)
    turns = [2 * pi * number / 16 for number in range(16)]
    copies = [
        normalised.under(Gaussian(sigma=0.2), chips().chip("probe", n)).displacement_norm or 0.0 for n in range(3)
    ]
    length = float(torch.cat([weight.flatten() for weight in weights.values() if weight.ndim > 1]).norm())
    r = sum(copies) / 3 / length
    assert found["radius"] == pytest.approx(r, rel=1e-5)
    rise = sum(loss(r * cos(t), r * sin(t)) for t in turns) / 16 - loss(0, 0)
    assert found["rise"] == pytest.approx(rise, rel=1e-3)
    flat = Flatness(noise=Gaussian(sigma=0.2), images=24).measured(normalised, {**DATA, "train": images}, chips())
    assert flat == {"radius": found["radius"], "rise": found["rise"]}
    line = Landscape(points=4, reach=0.9, images=24, dimensions=1).measured(
        normalised, {**DATA, "train": images}, chips()
    )
    assert line == {f"{x}": pytest.approx(loss(a, 0.0), rel=1e-4) for x, a in enumerate(steps)}


def test_gradient_norm(network: Network, curvature: Tensor) -> None:
    """It is ‖Aw‖."""
    found = GradientNorm(group=11).measured(network, DATA, chips())
    assert found == {"norm": pytest.approx(float((curvature.double() @ w(network)).norm()), rel=1e-5)}


def test_the_size_of_weights_and_noise(network: Network) -> None:
    """‖w‖, max|w| and rms by hand; ‖ε‖ is that of the chips."""
    found = WeightSize(noise=Gaussian(sigma=0.1), draws=3).measured(network, DATA, chips())
    noise = [
        network.under(Gaussian(sigma=0.1), chips().chip("probe", draw)).displacement_norm or 0 for draw in range(3)
    ]
    assert found["norm"] == pytest.approx(float(w(network).norm()))
    assert found["largest"] == pytest.approx(float(w(network).abs().max()))
    assert found["rms"] == pytest.approx(float(w(network).square().mean().sqrt()))
    assert found["noise_norm"] == pytest.approx(sum(noise) / 3)
    assert found["noise_share"] == pytest.approx(sum(noise) / 3 / found["norm"])
    assert set(WeightSize().measured(network, DATA, chips())) == {"norm", "largest", "rms"}


def test_accuracy_and_loss(network: Network) -> None:
    """Without noise the right answers of the split, counted here; under noise the mean over chips."""
    right = int(w(network).argmax())
    expected = 100 * float((IMAGES[:20].labels == right).double().mean())
    assert Performance(on="test").measured(network, DATA, chips())["accuracy"] == pytest.approx(expected)
    noise = Gaussian(sigma=2.0)
    copies = [network.under(noise, chips().chip("probe", draw)) for draw in range(4)]
    found = Performance(on="test", noise=noise, draws=4).measured(network, DATA, chips())
    assert found["loss"] == pytest.approx(sum(float(copy.losses(IMAGES[:20]).mean()) for copy in copies) / 4)
    assert found["accuracy"] == pytest.approx(sum(100 * copy.counts(IMAGES[:20]) / 20 for copy in copies) / 4)


@pytest.fixture
def normalised() -> Network:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=False),
        nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return Network(
        model=model.eval(),
        prepare=lambda images: images.float() / 255,
        criterion=nn.functional.cross_entropy,  # type: ignore[arg-type]
        batch=16,
    )


def photographs(count: int, seed: int) -> Images:
    drawn = torch.Generator().manual_seed(seed)
    return Images(torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=drawn), torch.arange(count) % 3)


def test_what_recalibration_gives_back(normalised: Network) -> None:
    """Counts with statistics as trained and anew, and the shift of each layer, against a loop over plain modules."""
    data: Any = {"train": photographs(64, 1), "validation": photographs(9, 2), "test": photographs(30, 3)}
    noise = Gaussian(sigma=0.5)
    probe = BatchNormShift(noise=noise, draws=2, calibration=48, layers=True)
    found = probe.measured(normalised, data, chips())
    assert found["lost"] == pytest.approx(found["given_back"] + found["left"])
    frozen, anew, shifts = [], [], []
    before = {name: tensor.clone() for name, tensor in normalised.model.state_dict().items()}
    for draw in range(2):
        noisy = normalised.under(noise, chips().chip("probe", draw))
        frozen.append(100 * noisy.counts(data["test"]) / 30)
        fresh = noisy.recalibrated(data["train"][:48])
        anew.append(100 * fresh.counts(data["test"]) / 30)
        buffers = fresh.buffers()
        mean, variance = before["1.running_mean"].double(), before["1.running_var"].double() + 1e-5
        moved = (buffers["1.running_mean"].double() - mean) / variance.sqrt()
        shifts.append(float(moved.square().mean().sqrt()))
    assert found["frozen"] == pytest.approx(sum(frozen) / 2)
    assert found["recalibrated"] == pytest.approx(sum(anew) / 2)
    assert found["1.mean_shift"] == pytest.approx(sum(shifts) / 2)
    assert found["mean_shift"] == pytest.approx((found["1.mean_shift"] + found["4.mean_shift"]) / 2)
    assert all(torch.equal(before[name], tensor) for name, tensor in normalised.model.state_dict().items())


def test_without_batch_norm_nothing_shifts(network: Network) -> None:
    """A network without running statistics loses what it loses, and nothing comes back."""
    found = BatchNormShift(noise=Gaussian(sigma=2.0), draws=3).measured(network, DATA, chips())
    assert set(found) == {"frozen", "recalibrated", "lost", "given_back", "left"}
    assert found["given_back"] == 0


# -- what the steps of a training do ------------------------------------------------------------------------------------------


def small_step(network: nn.Module, **changes: Any) -> Step:
    """A step of a network on a few images, as a training makes it."""
    drawn = torch.Generator().manual_seed(3)
    given: dict[str, Any] = {
        "model": network.train(),
        "images": torch.randn(12, 1, 8, 8, generator=drawn),
        "labels": torch.arange(12) % 3,
        "criterion": nn.functional.cross_entropy,
        "chance": TrainingChance(0, 0, {}, device=torch.device("cpu")),
        "state": State(),
        "optimizer": torch.optim.SGD(network.parameters(), lr=0.1),
        "dropout_seed": 5,
    }
    return Step(**given | changes)


@pytest.mark.parametrize("micro_batch", [None, 5])
def test_the_cosine_of_two_gradients(normalised: Network, micro_batch: int | None) -> None:
    """The update gradient against the one at w, both found here by plain torch on the same batch; nothing is left behind."""
    model = normalised.model
    torch.manual_seed(1)
    delta = {name: 0.05 * torch.randn_like(parameter) for name, parameter in model.named_parameters()}
    step = small_step(model, micro_batch=micro_batch)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients, losses = [], []
    for displacement in (delta, {}):
        copy = deepcopy(model)
        with torch.no_grad():
            for name, parameter in copy.named_parameters():
                parameter.add_(displacement.get(name, torch.zeros(())))
        parts = [step.images] if micro_batch is None else [step.images[:5], step.images[5:10], step.images[10:]]
        labels = [step.labels] if micro_batch is None else [step.labels[:5], step.labels[5:10], step.labels[10:]]
        shares = [nn.functional.cross_entropy(copy(x), y) * len(y) / 12 for x, y in zip(parts, labels, strict=True)]
        sum(shares).backward()
        losses.append(sum(float(share.detach()) for share in shares))
        gradients.append(torch.cat([p.grad.flatten() for p in copy.parameters() if p.grad is not None]).double())
    loss = step.backward(delta)
    update = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    after = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = GradientCosine().observed(ObservedStep(step, update, loss))
    perturbed, clean = gradients
    assert float(found["perturbed_norm"]) == pytest.approx(float(perturbed.norm()), rel=1e-4)
    assert float(found["clean_norm"]) == pytest.approx(float(clean.norm()), rel=1e-4)
    assert float(found["cosine"]) == pytest.approx(float(perturbed @ clean / perturbed.norm() / clean.norm()), abs=1e-4)
    assert float(found["loss"]) == pytest.approx(losses[1], rel=1e-5)
    assert float(found["sharpness"]) == pytest.approx(losses[0] - losses[1], abs=1e-5)
    assert UpdateGradient().observed(ObservedStep(step, update, loss)) == {"norm": found["perturbed_norm"]}
    assert all(torch.equal(tensor, after[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(p.grad, update[name]) for name, p in model.named_parameters() if p.grad is not None)
    assert any(not torch.equal(before[name], after[name]) for name in before)  # the step's own pass moves statistics


def test_sgd_moves_along_the_gradient(normalised: Network) -> None:
    """Where nothing is perturbed the cosine is 1."""
    step = small_step(normalised.model)
    loss = step.backward()
    update = {name: p.grad.clone() for name, p in normalised.model.named_parameters() if p.grad is not None}
    found = GradientCosine().observed(ObservedStep(step, update, loss))
    assert float(found["cosine"]) == pytest.approx(1, abs=1e-6)
    assert float(found["sharpness"]) == pytest.approx(0, abs=1e-6)
