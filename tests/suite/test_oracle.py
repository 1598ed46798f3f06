"""What two builds and a plain edited copy show: each kind of network that people bring is right or refused with the reason."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nrbench import stored_layers
from nrbench.suite.oracle import built_twice, check_network
from nrbench.suite.trial import made_up_sample

SAMPLE = made_up_sample(3, (1, 4, 4))


def net(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *(layers or (nn.Linear(16, 6), nn.ReLU())), nn.Linear(6, 3))


class Prepared(nn.Linear):
    """Keeps a transposed copy of its weight from where evaluation begins."""

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        self.prepared = None if mode else self.weight.detach().t().contiguous()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.prepared is None else x @ self.prepared + self.bias


class Merged(nn.Linear):
    """An adapter of rank 2 that is added to the weight where evaluation begins, and taken off again (as loralib does)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.down, self.up = nn.Parameter(torch.randn(2, inputs)), nn.Parameter(torch.zeros(outputs, 2))
        self.merged = False

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        if self.merged == mode:
            self.weight.data += (-1 if mode else 1) * (self.up @ self.down).data
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if self.merged else y + x @ self.down.t() @ self.up.t()


class Folded(nn.Module):
    """Two branches that are one matrix in evaluation, made at the first pass there and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 6), nn.Linear(16, 6)
        self.both: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.both = None
            return self.first(x) + self.second(x)
        if self.both is None:
            self.both = (self.first.weight + self.second.weight).detach()
        return x @ self.both.t() + self.first.bias + self.second.bias


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(2, track_running_stats=False)
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.turn = net(), nn.Parameter(torch.ones(3, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) * self.turn).real


class Slash(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = net()
        self.register_parameter("a/b", nn.Parameter(torch.ones(3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * dict(self.named_parameters())["a/b"]


class Sparse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(8, 6, sparse=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.table(x.flatten(1).sum(1).long().remainder(8)))


class WrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Linear, weight: Tensor) -> Tensor:
        ctx.layer = layer
        return F.linear(x, weight)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:  # type: ignore[override]
        return slope @ ctx.layer.weight, None, None


class AsksTheLayer(nn.Module):
    """Its own backward pass asks a layer for its weight, when the displacement is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(16, 6), nn.Linear(6, 6, bias=False), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(WrongBackward.apply(self.first(x.flatten(1)), self.second, self.second.weight))


def from_numpy() -> nn.Module:
    model = net()
    with torch.no_grad():
        model[1].weight.copy_(torch.from_numpy(np.random.normal(0, 0.1, (6, 16))))  # type: ignore[index]
    return model


def from_random() -> nn.Module:
    model = net()
    with torch.no_grad():
        model[1].weight.mul_(random.random())  # type: ignore[index]
    return model


def from_the_clock() -> nn.Module:
    torch.manual_seed(time.perf_counter_ns() & 0xFFFF_FFFF)
    return net()


def from_a_text() -> nn.Module:
    torch.manual_seed(hash("a network") & 0xFFFF_FFFF)
    return net()


@cache
def remembered() -> nn.Module:
    return net()


REFUSED: dict[Callable[[], nn.Module], str] = {
    lambda: net(Prepared(16, 6), nn.ReLU()): "gives other logits than a plain copy",
    lambda: net(Merged(16, 6), nn.ReLU()): "in a network built afresh",
    lambda: net(Folded(), nn.ReLU()): "gives other logits than a plain copy|something remembers what became of it",
    Normalised: "depends on the other images of its batch",
    Complex: "turn is complex",
    Slash: "'a/b' has a / in its name",
    Sparse: "its gradient of table.weight is sparse",
    AsksTheLayer: "its gradient of first.* is another than that of a plain copy",
    from_numpy: "built twice under one seed, 1.weight differs",
    from_random: "built twice under one seed, 1.weight differs",
    from_the_clock: "built twice under one seed, 1.weight differs",
    from_a_text: "built twice under one seed, 1.weight differs",
    remembered: "both networks hold the same 1.weight",
}


@pytest.mark.parametrize("build", REFUSED)
def test_what_is_no_function_of_its_weights_is_refused(build: Callable[[], nn.Module]) -> None:
    """Layers that prepare, merge or fold, first weights from elsewhere, and numbers that no method adds up are each refused."""
    with pytest.raises(ValueError, match=REFUSED[build]):
        check_network(build, stored_layers, SAMPLE)


class Temperature(nn.Module):
    """Parameters of shapes () and (0,)."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scale = net(nn.Linear(16, 6), nn.LayerNorm(6)), nn.Parameter(torch.tensor(1.5))
        self.nothing = nn.Parameter(torch.zeros(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * self.scale + self.nothing.sum()


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 1, 2),
            nn.Dropout(0.2),
            nn.Flatten(),
        )
        self.head = nn.utils.parametrizations.weight_norm(nn.Linear(16, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


@pytest.mark.parametrize("build", [net, Temperature, Convolutions])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_what_is_right_is_taken(build: Callable[[], nn.Module], precision: torch.dtype) -> None:
    """Plain layers, parameters without dimensions and computed weights agree with a plain copy, in either precision."""
    check_network(build, stored_layers, made_up_sample(3, (1, 4, 4), precision))


def test_objects_are_hashed_as_ever_while_a_network_is_built_again() -> None:
    """Dictionaries of frozen objects, whose class says how they are hashed, work in the second build."""

    class Key:
        def __hash__(self) -> int:
            return hash(("a", 1))

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Key)

    known = {Key(): 6}
    first, second = built_twice(lambda: net(nn.Linear(16, known[Key()]), nn.ReLU()))
    assert first is not second
