"""Random numbers of a training pass: an image has the same ones in the whole batch and in any part of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nrbench import Step
from nrbench.families.step import draws_in_training
from nrbench.testing.samples import gradients, sample_step


class DropPath(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.new_empty((len(x), *[1] * (x.ndim - 1))).bernoulli_(0.5)


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 0.1 * torch.randn_like(x) + torch.rand(len(x), 1, 1, 1)


class DropConnect(nn.Module):
    """Draws for its weight, whose first dimension is as long as a batch, and for no image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 16) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * torch.rand(16, 16))


class Sequence(nn.Module):
    """Attention with the images in the second dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(8, 2, dropout=0.3), nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = x.flatten(1)[:, :32].view(len(x), 4, 8).transpose(0, 1)
        return self.head(F.dropout(self.attention(y, y, y)[0], 0.2).transpose(0, 1).flatten(1))


def convolutional(*more: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.5), *more, nn.Flatten(), nn.Linear(144, 16), nn.Dropout(),
        DropConnect(), nn.Linear(16, 3),
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "dropout": convolutional,
    "drop path": lambda: convolutional(DropPath()),
    "noise": lambda: convolutional(Noise()),
    "attention": Sequence,
}


def step_of(build: Callable[[], nn.Module], memory_format: torch.memory_format, **fields: object) -> Step:
    torch.manual_seed(1)
    step = sample_step(model=build().train(), dropout_seed=5, **fields)
    object.__setattr__(step, "images", step.images.contiguous(memory_format=memory_format))
    return step


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", NETWORKS)
def test_parts_of_a_batch_have_the_gradient_of_the_whole(name: str, memory_format: torch.memory_format) -> None:
    """Without BatchNorm the gradient is the same to rounding, whatever the parts; with masks of other images it is not."""
    whole = step_of(NETWORKS[name], memory_format)
    whole.backward()
    expected = gradients(whole)
    for size in (5, 3, 1):
        parts = step_of(NETWORKS[name], memory_format, micro_batch=size)
        parts.backward()
        for parameter, gradient in gradients(parts).items():
            assert torch.allclose(gradient, expected[parameter], rtol=0, atol=1e-6), (size, parameter)


def test_images_that_are_picked_keep_their_masks() -> None:
    """The losses of some images, in any order, are those that they have in the whole batch."""
    step = step_of(NETWORKS["dropout"], torch.contiguous_format)
    every, rows = step.losses().detach(), torch.tensor([11, 3, 7])
    assert torch.allclose(step.losses(rows=rows).detach(), every[rows], atol=1e-6)
    assert torch.allclose(step.losses(rows=slice(4, 9)).detach(), every[4:9], atol=1e-6)


def test_all_inputs_are_dropped_and_kept_by_turns() -> None:
    """In eight parts of a batch no input of a layer is dropped in each part, as it is where all parts have one mask."""
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(72, 3))
    step = sample_step(model=model.train(), micro_batch=2, dropout_seed=3)
    object.__setattr__(step, "images", torch.ones_like(step.images))
    step.backward()
    assert (gradients(step)["2.weight"].abs().sum(0) > 0).all()


def test_where_the_images_are_is_found() -> None:
    """A draw that grows with the batch is of images, along that dimension; one that does not is of none."""
    step = step_of(NETWORKS["attention"], torch.contiguous_format)
    assert [axis and tuple(axis) for axis in draws_in_training(step)] == [(0, 2), (1, 1)]
    assert draws_in_training(sample_step()) == ()
