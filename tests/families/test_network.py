from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrbench import NONE, Chance, Images, Network, NoiseModel, Weights
from nrbench.base.chance import Chips, EvaluationChance
from nrbench.testing import SmallNetwork
from nrbench_noise import Gaussian

CHIPS = Chips("backbone", 0, torch.device("cpu"))
IMAGES = Images(
    torch.randint(0, 256, (64, 2, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8),
    torch.arange(64) % 3,
)


def prepared(images: Tensor) -> Tensor:
    return images.float() / 255 - 0.5


def network(model: nn.Module | None = None, *, batch: int = 7) -> Network:
    torch.manual_seed(0)
    model = (model or SmallNetwork().build(num_classes=3, input_shape=(2, 6, 6))).eval()
    return Network(model=model, prepare=prepared, criterion=partial(cross_entropy, label_smoothing=0.1), batch=batch)


def really_at(who: Network, delta: Weights) -> nn.Module:
    """A copy of the model that really has the displaced weights."""
    copy = SmallNetwork().build(num_classes=3, input_shape=(2, 6, 6)).eval()
    copy.load_state_dict(who.model.state_dict())
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter += delta.get(name, torch.zeros(()))
    return copy


def right(model: nn.Module, images: Images = IMAGES) -> int:
    with torch.no_grad():
        return int((model(prepared(images.images)).argmax(1) == images.labels).sum())


def delta_of(who: Network, draw: int = 0, *, sigma: float = 0.3) -> Weights:
    return Gaussian(sigma=sigma).displacement(who.weights(), chance=CHIPS.chip("report", draw))


@pytest.mark.parametrize("batch", [7, 64])
def test_counts_losses_and_gradient_are_those_of_a_displaced_copy(batch: int) -> None:
    """At w + δ and at w they equal those of a model whose weights were really changed, and w is bit for bit what it was."""
    who = network(batch=batch)
    before = {name: tensor.clone() for name, tensor in who.model.state_dict().items()}
    for delta in (NONE, delta_of(who)):
        copy, here = really_at(who, delta), who.at(delta)
        assert here.counts(IMAGES) == right(copy)
        losses = cross_entropy(copy(prepared(IMAGES.images)), IMAGES.labels, label_smoothing=0.1, reduction="none")
        assert torch.allclose(here.losses(IMAGES), losses, atol=1e-6)
        losses.mean().backward()
        gradient = here.gradient(IMAGES)
        for name, parameter in copy.named_parameters():
            assert torch.allclose(gradient[name], parameter.grad, atol=1e-6), name
    assert all(torch.equal(tensor, before[name]) for name, tensor in who.model.state_dict().items())
    assert all(parameter.grad is None for parameter in who.model.parameters())


def test_a_chip_is_what_its_noise_model_draws() -> None:
    """Under a noise model the network is at that chip's displacement, whose norm it knows where it was asked for."""
    who = network()
    for draw in range(3):
        delta, here = delta_of(who, draw), who.under(Gaussian(sigma=0.3), CHIPS.chip("report", draw))
        assert here.counts(IMAGES) == right(really_at(who, delta))
        assert here.displacement_norm == pytest.approx(
            torch.cat([tensor.flatten() for tensor in delta.values()]).norm().item()
        )


class Reread(NoiseModel):
    """A programming error that stays, and a bias that is read anew with every batch."""

    name: Literal["reread"] = "reread"

    @property
    def rereads(self) -> bool:
        return True

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        stays = chance.normal("4.weight", weights["4.weight"].shape) * 0.05
        return {"4.weight": stays, "4.bias": chance.read.normal("4.bias", weights["4.bias"].shape)}


def test_what_is_read_anew_differs_from_batch_to_batch_and_the_rest_does_not() -> None:
    """Each batch of a pass meets the same programmed weights and numbers of its own, and the pass again the same ones."""
    who, chip, expected = network(batch=16), CHIPS.chip("report", 0), 0
    seen = []
    for batch in range(4):
        images = IMAGES[slice(16 * batch, 16 * batch + 16)]
        delta = Reread().displacement(who.weights(), chance=chip.anew(reads=batch))
        seen.append(delta)
        expected += right(really_at(who, delta), images)
    assert all(torch.equal(delta["4.weight"], seen[0]["4.weight"]) for delta in seen)
    assert not any(torch.equal(delta["4.bias"], seen[0]["4.bias"]) for delta in seen[1:])
    for _ in range(2):
        assert who.under(Reread(), chip).counts(IMAGES) == expected


def test_an_output_that_is_not_finite_is_wrong() -> None:
    """NaN never counts as a right answer, although argmax would pick it."""
    assert network().at({"4.bias": torch.tensor([float("nan"), 0.0, 0.0])}).counts(IMAGES) == 0


class Writing(NoiseModel):
    """A noise model that writes to the weights it is given."""

    name: Literal["writing"] = "writing"

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        for weight in weights.values():
            weight.add_(1)
        return {}


def test_a_noise_model_that_writes_is_caught_and_undone() -> None:
    """It is refused, and the weights that others meet are those that were loaded."""
    who = network()
    loaded = {name: tensor.clone() for name, tensor in who.model.state_dict().items()}
    who = who.load(loaded)
    before = who.counts(IMAGES)
    with pytest.raises(ValueError, match="writing wrote to the weights it was given"):
        who.under(Writing(), CHIPS.chip("report", 0))
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in who.model.state_dict().items())
    assert who.counts(IMAGES) == before


def test_recalibration_is_a_cumulative_average_at_the_displaced_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running statistics are the mean over equal batches of each batch's statistics, at w + δ; the model keeps its own."""
    monkeypatch.setattr("nrbench.families.network.CALIBRATION_BATCH", 10)
    who, images = network(), IMAGES[slice(0, 40)]
    delta = delta_of(who)
    before = {name: buffer.clone() for name, buffer in who.model.named_buffers()}
    statistics = who.at(delta).recalibrated(images)._states(0)
    conv = who.model[0]  # type: ignore[index]
    parts = [
        nn.functional.conv2d(prepared(part), conv.weight + delta["0.weight"], padding=1)
        for part in images.images.split(10)  # type: ignore[no-untyped-call]
    ]
    mean, var = (torch.stack([measure(p) for p in parts]).mean(0) for measure in (_mean, _var))
    assert torch.allclose(statistics["1.running_mean"], mean, atol=1e-5)
    assert torch.allclose(statistics["1.running_var"], var, rtol=1e-4)
    assert all(torch.equal(buffer, before[name]) for name, buffer in who.model.named_buffers())
    norm = who.model[1]  # type: ignore[index]
    assert (norm.training, norm.momentum) == (False, 0.1)


def _mean(part: Tensor) -> Tensor:
    return part.mean((0, 2, 3))


def _var(part: Tensor) -> Tensor:
    return part.var((0, 2, 3))


def test_recalibration_leaves_other_statistics_alone() -> None:
    """Only BatchNorm's statistics are estimated anew, from whatever they were; others stay."""
    instance = nn.InstanceNorm2d(2, track_running_stats=True)
    instance.running_mean.fill_(0.25)  # type: ignore[union-attr]
    who = network(nn.Sequential(instance, nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 3)))
    who.model[1].running_var.fill_(float("nan"))  # type: ignore[index, union-attr, operator]
    statistics = who.recalibrated(IMAGES)._states(0)
    assert torch.equal(statistics["0.running_mean"], torch.full((2,), 0.25))
    assert statistics["1.running_var"].isfinite().all()


def test_a_chip_depends_on_backbone_seed_draw_and_purpose_alone() -> None:
    """The weights that a method or data set came to, and the strength, share a chip's normals; each coordinate has others."""

    def normals(who: Network, chip: EvaluationChance, *, sigma: float = 0.1) -> Tensor:
        noise = Gaussian(sigma=sigma)
        unit = noise.scale.units(who.weights())["0.weight"]
        return noise.displacement(who.weights(), chance=chip.anew())["0.weight"] / (sigma * unit)

    first, other = network(), network()
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.mul_(3)
    chip = CHIPS.chip("report", 0)
    expected = normals(first, chip)
    assert torch.allclose(normals(other, chip), expected)
    assert torch.allclose(normals(first, chip, sigma=0.3), expected)
    for apart in (
        replace(CHIPS, backbone="another").chip("report", 0),
        replace(CHIPS, seed=1).chip("report", 0),
        CHIPS.chip("report", 1),
        CHIPS.chip("selection", 0),
    ):
        assert not torch.allclose(normals(first, apart), expected)
