from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nrbench import Chance, Images, Network, NoiseModel, Weights
from nrbench.base.chance import Chips
from nrbench.base.torch_state import unchanged
from nrbench.families.executor import Failure, attempt

CHIP = Chips("backbone", 0, torch.device("cpu")).chip("report", 0)
IMAGES = Images(torch.randint(0, 256, (8, 1, 2, 2), dtype=torch.uint8), torch.arange(8) % 3)


def network(model: nn.Module | None = None) -> Network:
    torch.manual_seed(0)
    model = model or nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return Network(model, lambda x: x.float(), cross_entropy, 4).load(weights)


class Hostile(NoiseModel):
    """Does what it is told to before it displaces nothing much."""

    name: Literal["hostile"] = "hostile"

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        weight = weights["1.weight"]
        return DEEDS[self.deed](weight) or {"1.weight": torch.ones_like(weight)}

    deed: str


def _write(weight: torch.Tensor) -> None:
    weight.add_(1)


def _write_data(weight: torch.Tensor) -> None:
    weight.data[0, 0] += 1


DEEDS: dict[str, Callable[[torch.Tensor], Any]] = {
    "another shape": lambda w: {"1.weight": torch.ones(3, 1)},
    "another type": lambda w: {"1.weight": torch.ones(3, 4, dtype=torch.float64)},
    "no weight": lambda w: {"2.weight": torch.ones(3, 4)},
    "not finite": lambda w: {"1.weight": torch.full((3, 4), float("inf"))},
    "written": _write,
    "written through data": _write_data,
    "default type": lambda w: torch.set_default_dtype(torch.float64),
    "oneDNN": lambda w: torch._C._set_mkldnn_enabled(False),
    "threads": lambda w: torch.set_num_threads(2),
    "deterministic": lambda w: torch.use_deterministic_algorithms(True),
    "torch's generator": lambda w: [torch.manual_seed(5)][1:],
    "torch's draws": lambda w: [torch.rand(3)][1:],
    "NumPy's generator": lambda w: np.random.seed(3),
    "Python's generator": lambda w: random.seed(3),
}
SAID = {
    "another shape": r"displacement of 1.weight and the weight differ: \(3, 1\)",
    "another type": "torch.float64",
    "no weight": "which the model does not have",
    "not finite": "is not finite",
    "written": "wrote to the weights",
    "written through data": "wrote to the weights",
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_a_noise_model_does_costs_itself(deed: str) -> None:
    """It is refused with the reason, and the network, torch's switches and all generators are as they were."""
    who = network()
    right, weights = who.counts(IMAGES), {n: w.clone() for n, w in who.weights().items()}
    before = (torch.get_default_dtype(), torch._C._get_mkldnn_enabled(), torch.get_num_threads())
    states = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=SAID.get(deed, "for everybody")):
        who.under(Hostile(deed=deed), CHIP, watch=True)
    assert (torch.get_default_dtype(), torch._C._get_mkldnn_enabled(), torch.get_num_threads()) == before
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()  # type: ignore[union-attr]
    assert all(torch.equal(w, weights[n]) for n, w in who.weights().items())
    assert who.counts(IMAGES) == right


def test_noise_on_a_network_without_layers_is_refused() -> None:
    """A network of which nothing is stored is not shown as robust."""

    class Scales(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(3, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.flatten(1)[:, None] * self.gain).sum(2)

    class Quiet(NoiseModel):
        name: Literal["quiet"] = "quiet"

        def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
            return {}

    with pytest.raises(ValueError, match="nothing of this network lies on the device"):
        network(Scales()).under(Quiet(), CHIP)


class Rude(BaseException):
    def __str__(self) -> str:
        raise RuntimeError


def raising(error: BaseException) -> Callable[[object], None]:
    def work(item: object) -> None:
        raise error

    return work


@pytest.mark.parametrize(
    "error", [SystemExit(3), GeneratorExit(), Rude(), ValueError("\udc80")], ids=lambda e: type(e).__name__
)
def test_whatever_is_raised_is_a_failure(error: BaseException) -> None:
    """An exit, an exception that is no Exception, a text that raises or is no UTF-8: each is told in words that can be."""
    result = attempt(raising(error), None)
    assert isinstance(result, Failure)
    result.message.encode()
    result.traceback.encode()
    assert type(error).__name__ in result.message


def test_a_persons_interrupt_passes_through() -> None:
    """In the main process a KeyboardInterrupt is nobody's failure."""
    with pytest.raises(KeyboardInterrupt):
        attempt(raising(KeyboardInterrupt()), None)


def test_switches_alone_are_watched_where_layers_draw() -> None:
    """In training the generators may move, and the switches may not."""
    with unchanged("layers", generators=False):
        torch.rand(3)
    with pytest.raises(ValueError, match="the number of threads"), unchanged("layers", generators=False):
        torch.set_num_threads(torch.get_num_threads() + 1)
