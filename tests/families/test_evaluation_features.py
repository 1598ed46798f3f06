"""Features of evaluation in every combination: each is that of a plain copy that was edited by hand."""

from __future__ import annotations

from itertools import product
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrizations

from nrbench import Chance, Images, Layout, Network, NoiseModel, Weights
from nrbench.base.chance import Chips
from nrbench.families.computed import make_plain
from nrbench.families.network import CALIBRATION_BATCH

CHIP = Chips("backbone", 0, torch.device("cpu")).chip("report", 0)
BATCH = 16


def images(count: int, seed: int) -> Images:
    chance = torch.Generator().manual_seed(seed)
    return Images(torch.randint(0, 256, (count, 2, 4, 4), generator=chance, dtype=torch.uint8), torch.arange(count) % 3)


TEST, CALIBRATION = images(48, 0), images(2 * CALIBRATION_BATCH + 20, 1)


def prepared(pixels: Tensor) -> Tensor:
    return pixels.float() / 255 - 0.5


class Tied(nn.Module):
    """Two convolutions around BatchNorm, one weight if they are tied, computed in the pass if it is parametrised."""

    def __init__(self, *, tied: bool, parametrised: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(2), nn.Linear(32, 3)
        if tied:
            self.second.weight = self.first.weight
        if parametrised:
            parametrizations.weight_norm(self.head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.second(self.first(x).relu())).flatten(1))


class Errors(NoiseModel):
    """An error of every layer that stays, and one of the head that comes with each read if it `rereads`."""

    name: Literal["errors"] = "errors"
    again: bool

    @property
    def rereads(self) -> bool:
        return self.again

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        layers = ("first.weight", "second.weight", "head.weight")
        delta = {n: 0.2 * chance.normal(n, weights[n].shape) for n in layers if n in weights}
        if self.again:
            delta["head.weight"] = delta["head.weight"] + chance.read.normal(
                "head.weight", weights["head.weight"].shape
            )
        return delta


def edited(tied: bool, parametrised: bool, noise: Errors, network: Network, read: int) -> nn.Module:
    """A plain copy at the weights of a chip at one of its reads."""
    copy = Tied(tied=tied, parametrised=parametrised).eval()
    for name in Layout.of(copy).computed:
        make_plain(copy, name)
    with torch.no_grad():
        for name, delta in noise.displacement(network.weights(), chance=CHIP.anew(reads=read)).items():
            copy.get_parameter(name).add_(delta)
    return copy


@pytest.mark.parametrize(("tied", "parametrised", "again", "recalibrated"), [*product([False, True], repeat=4)])
def test_a_chip_is_a_plain_copy(tied: bool, parametrised: bool, again: bool, recalibrated: bool) -> None:
    """Ties, computed weights, reads and new statistics, together and alone: the logits of each batch are a plain copy's."""
    model, noise = Tied(tied=tied, parametrised=parametrised).eval(), Errors(again=again)
    network = Network(model, prepared, cross_entropy, BATCH)  # type: ignore[arg-type]
    statistics: dict[str, Tensor] = {}
    if recalibrated:
        parts = CALIBRATION.images.tensor_split(2)
        found = []
        for number, part in enumerate(parts):
            copy = edited(tied, parametrised, noise, network, -1 - number if again else 0)
            copy.norm.train().momentum = None  # type: ignore[union-attr, operator, assignment]
            with torch.no_grad():
                copy(prepared(part))
            found.append({name: buffer.clone() for name, buffer in copy.norm.named_buffers()})  # type: ignore[union-attr]
        statistics = {
            n: (found[0][n] * len(parts[0]) + found[1][n] * len(parts[1])) / len(CALIBRATION) for n in found[0]
        }
    expected = []
    for read, part in enumerate(TEST.images.split(BATCH)):  # type: ignore[no-untyped-call]
        copy = edited(tied, parametrised, noise, network, read if again else 0)
        for name, value in statistics.items():
            copy.norm.get_buffer(name).copy_(value)  # type: ignore[union-attr, operator]
        with torch.no_grad():
            expected.append(copy(prepared(part)))
    here = network.under(noise, CHIP)
    here = here.recalibrated(CALIBRATION) if recalibrated else here
    assert torch.allclose(here.logits(TEST), torch.cat(expected), atol=1e-4)
