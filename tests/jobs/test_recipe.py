from __future__ import annotations

from math import isfinite, prod
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nrbench import Backbone, Method, Recipe, Training
from nrbench.families.optimizer import AdamW, Sgd
from nrbench.families.schedule import Constant, Cosine, Linear, Product
from nrbench.families.step import part_sizes
from nrbench.jobs.data import Data
from nrbench.jobs.train import train
from nrbench.testing import sample_step
from nrbench.testing.samples import SmallDataset, SmallNetwork, gradients
from nrbench_backbones import MLP
from nrbench_methods import RWP, SAM, SGD


def weights(method: Method, **recipe: Any) -> dict[str, torch.Tensor]:
    """The weights after two epochs."""
    made = Recipe(**{"epochs": 2, "batch_size": 16, "augment": (), "optimizer": Sgd(lr=0.1)} | recipe)
    training = Training(SmallDataset(), MLP(hidden=(8,)), method, made, seed=0)
    *_, last = train(training, Data.of(training, Path(), torch.device("cpu")))
    return last.weights()


@pytest.mark.parametrize(
    "method", [SGD(), SAM(rho=0.1), RWP(sigma=0.1), RWP(sigma=0.1, samples=4)], ids=lambda m: m.name
)
def test_a_batch_in_parts_has_the_gradient_of_the_whole(method: Method) -> None:
    """Without BatchNorm every method trains alike with all images at once and with three at a time; the cost is the same."""
    whole, parts = weights(method), weights(method, micro_batch=3)
    assert all(torch.allclose(whole[name], parts[name], atol=1e-5) for name in whole)
    assert any(not torch.equal(whole[name], parts[name]) for name in whole)


def test_parts_count_as_one_pass_and_update_statistics() -> None:
    """A pass in parts costs what a whole one costs, gives each image's loss, and moves BatchNorm's statistics."""
    model = SmallNetwork().build(num_classes=3, input_shape=(2, 6, 6))
    step = sample_step(model=model, micro_batch=5)
    step.backward()
    assert step.passes == 1
    before = model[1].running_mean.clone()  # type: ignore[index,operator,union-attr]
    assert before.abs().sum() > 0
    step.finish()
    assert torch.equal(model[1].running_mean, before)  # type: ignore[index,arg-type]
    model.eval()
    whole, parts = sample_step(model=model), sample_step(model=model, micro_batch=5)
    assert torch.allclose(whole.losses(), parts.losses(), atol=1e-6)
    assert gradients(step)


def test_clipping_is_that_of_the_whole_gradient() -> None:
    """One step of SGD with a clipped gradient goes the same way as a free one, lr · clip_norm far in all parameters."""
    made = {"optimizer": Sgd(lr=0.5, momentum=0.0, weight_decay=0.0), "lr_schedule": Constant(), "batch_size": 64}
    cases: list[dict[str, Any]] = [{"epochs": 0}, {"epochs": 1}, {"epochs": 1, "clip_norm": 0.01}]
    start, free, clipped = (torch.cat([w.flatten() for w in weights(SGD(), **made, **case).values()]) for case in cases)
    assert (clipped - start).norm().item() == pytest.approx(0.5 * 0.01, rel=1e-3)
    assert (free - start).norm() > 0.05
    assert torch.cosine_similarity(clipped - start, free - start, dim=0).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "optimizer", [Sgd(weight_decay=0.1, decay="matrices"), AdamW(weight_decay=0.1, decay="matrices")]
)
def test_decay_of_matrices_alone(optimizer: Sgd | AdamW) -> None:
    """Biases and norms are in a group that does not decay, everything is in one of the two, and all keys are others."""
    model = SmallNetwork().build(num_classes=3, input_shape=(2, 6, 6))
    groups = optimizer.build(model.parameters()).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert {p.ndim for p in groups[0]["params"]} == {2, 4}
    assert {p.ndim for p in groups[1]["params"]} == {1}
    assert sum(len(group["params"]) for group in groups) == len([*model.parameters()])
    assert optimizer.fingerprint != optimizer.replace(decay="all").fingerprint


def test_what_is_not_asked_for_changes_no_key() -> None:
    """Recipes and optimizers without the later fields have the keys that they always had."""
    assert Recipe().fingerprint == Recipe(clip_norm=None, micro_batch=None).fingerprint
    assert len({Recipe(clip_norm=1.0).fingerprint, Recipe(micro_batch=4).fingerprint, Recipe().fingerprint}) == 3


def test_a_warm_up_is_a_product() -> None:
    """A ramp times a cosine is 0 at the start, half of the cosine in the middle of the ramp, and the cosine after it."""
    schedule, cosine = Product(of=(Linear(until=0.1), Cosine())), Cosine()
    assert schedule(0) == 0
    assert schedule(0.05) == pytest.approx(0.5 * cosine(0.05))
    assert schedule(0.5) == cosine(0.5)


@pytest.mark.parametrize("betas", [(2.0, 0.9), (0.9, 1.0), (-0.1, 0.9)])
def test_betas_that_torch_refuses_are_refused_by_the_suite(betas: tuple[float, float]) -> None:
    """What validate accepts, runs."""
    with pytest.raises(ValidationError):
        AdamW(betas=betas)


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(129, 128, [129]), (257, 128, [128, 129]), (130, 128, [128, 2]), (128, 128, [128]), (1, 128, [1]), (5, 2, [2, 3])],
)
def test_a_last_image_alone_joins_the_batch_before(count: int, size: int, sizes: list[int]) -> None:
    """Every image is in one batch, and none is alone unless it is the only one."""
    assert part_sizes(count, size) == sizes


class Normed(Backbone):
    """A network of which each channel is one number an image."""

    name: Literal["normed"] = "normed"

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(prod(input_shape), 8), nn.BatchNorm1d(8), nn.Linear(8, num_classes)
        )


@pytest.mark.parametrize(
    ("method", "micro_batch"),
    [(SGD(), 15), (SGD(), 1), (RWP(sigma=0.1, samples=16), None), (RWP(sigma=0.1, samples=9), 3)],
)
def test_batch_norm_never_meets_a_single_image(method: Method, micro_batch: int | None) -> None:
    """Parts of a batch have two images at least where there is BatchNorm, whoever cuts it."""
    made = Recipe(epochs=1, batch_size=16, augment=(), optimizer=Sgd(lr=0.1), micro_batch=micro_batch)
    training = Training(SmallDataset(), Normed(), method, made, seed=0)
    (last,) = train(training, Data.of(training, Path(), torch.device("cpu")))
    assert isfinite(last.loss)
