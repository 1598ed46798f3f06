from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.module import register_module_forward_hook

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


KEPT: list[Any] = []


def entered(mode: Any) -> None:
    KEPT.append(mode)
    mode.__enter__()


DEEDS: dict[str, Callable[[torch.Tensor], Any]] = {
    "another shape": lambda w: {"1.weight": torch.ones(3, 1)},
    "another type": lambda w: {"1.weight": torch.ones(3, 4, dtype=torch.float64)},
    "no weight": lambda w: {"2.weight": torch.ones(3, 4)},
    "not finite": lambda w: {"1.weight": torch.full((3, 4), float("inf"))},
    "written": _write,
    "written through data": _write_data,
    "written in another order": lambda w: [w.copy_(w.flip(0))][1:],
    "default type": lambda w: torch.set_default_dtype(torch.float64),
    "autocast": lambda w: torch.set_autocast_enabled("cpu", True),
    "hooks on all modules": lambda w: [register_module_forward_hook(lambda *all: None)][1:],
    "a function of torch": lambda w: setattr(torch.nn.functional, "relu", torch.tanh),
    "a mode": lambda w: [torch.device("meta").__enter__()][1:],
    "inference mode": lambda w: entered(torch.inference_mode()),
    "the working directory": lambda w: os.chdir("/"),
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
    "written in another order": "wrote to the weights",
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


@pytest.mark.parametrize(
    "deed",
    [
        lambda w: setattr(w, "data", torch.zeros(3, 4)),
        lambda w: w.set_(torch.zeros(3, 4).untyped_storage(), 0, (3, 4)),
        lambda w: w.t_(),
    ],
)
def test_what_is_lent_is_a_view(deed: Callable[[torch.Tensor], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A noise model that puts something else in the place of its weights changes those of nobody else."""
    monkeypatch.setitem(DEEDS, "replaced", lambda w: [deed(w)][1:])
    who = network()
    weights = {name: weight.clone() for name, weight in who.weights().items()}
    for _ in range(2):
        attempt(lambda noise: who.under(noise, CHIP), Hostile(deed="replaced"))
        assert all(torch.equal(w, weights[n]) for n, w in who.weights().items())


def test_a_later_read_is_checked_like_the_first() -> None:
    """A displacement that is drawn anew in each batch has to be finite in each."""

    class Late(NoiseModel):
        name: Literal["late"] = "late"
        rereads: ClassVar[bool] = True  # type: ignore[misc]

        def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
            calls.append(1)
            return {"1.weight": torch.full((3, 4), float("nan") if len(calls) > 2 else 1.0)}

    calls: list[int] = []
    who = network().under(Late(), CHIP)
    with pytest.raises(ValueError, match="the displacement of late is not finite"):
        who.counts(IMAGES)


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


@pytest.mark.parametrize("length", [100, 10_000_000])
def test_a_message_has_an_end(length: int) -> None:
    """An exception's text is kept as far as anybody reads it."""
    failure = attempt(raising(ValueError("x" * length)), None)
    assert isinstance(failure, Failure)
    assert len(failure.message) < 2100
    assert len(failure.traceback) < 50_000


def test_an_error_that_cannot_be_formatted_is_a_failure() -> None:
    """A SyntaxError with odd fields is told by its name."""
    error = SyntaxError("x", (1, 2, 3, 4))  # type: ignore[arg-type]
    failure = attempt(raising(error), None)
    assert isinstance(failure, Failure)
    assert failure.message.startswith("SyntaxError")
