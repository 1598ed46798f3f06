from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file, save_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nrbench.families.loading import copy_into
from nrbench.suite.given import taken
from nrbench_methods import Trained


class Net(nn.Module):
    """A convolution, BatchNorm, a head, and a second head tied to it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        self.head, self.other = nn.Linear(8, 3), nn.Linear(8, 3)
        self.other.weight = self.head.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.body(x).flatten(1)) + self.head(self.body(x).flatten(1))


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return Net().eval()


OWN = {name: tensor.clone() for name, tensor in net().state_dict().items()}
X = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))

WILD: dict[str, tuple[Callable[[], dict[str, Tensor]], str]] = {
    "as exported": (lambda: OWN, ""),
    "data parallel": (lambda: {f"module.{k}": v for k, v in OWN.items()}, "prefix module."),
    "compiled": (lambda: torch.compile(net()).state_dict(), "prefix _orig_mod."),
    "wrapped twice": (lambda: {f"model.module.{k}": v for k, v in OWN.items()}, "prefix model."),
    "a compiled part": (
        lambda: {k.replace("body.", "body._orig_mod."): v for k, v in OWN.items()},
        "_orig_mod. in the middle",
    ),
    "averaged": (lambda: AveragedModel(net()).state_dict(), "n_averaged"),
    "without counters": (lambda: {k: v for k, v in OWN.items() if "num_batches" not in k}, "1 counters"),
    "in half": (lambda: {k: v.half() if v.is_floating_point() else v for k, v in OWN.items()}, "float16"),
    "in bfloat16": (lambda: {k: v.bfloat16() if v.is_floating_point() else v for k, v in OWN.items()}, "bfloat16"),
    "in double": (lambda: {k: v.double() if v.is_floating_point() else v for k, v in OWN.items()}, "float64"),
    "one name of a tie": (lambda: {k: v for k, v in OWN.items() if k != "other.weight"}, "other.weight is tied"),
    "the other name": (lambda: {k: v for k, v in OWN.items() if k != "head.weight"}, ""),
}


@pytest.mark.parametrize("way", WILD)
def test_weights_as_they_are_written_in_the_wild(way: str) -> None:
    """Each gives the outputs of the network that was saved, to the precision of the file, and what was done is said."""
    make, said = WILD[way]
    notes: list[str] = []
    model = net(1)
    copy_into(model, taken(make(), model, note=notes.append))
    tolerance = {"in half": 1e-2, "in bfloat16": 5e-2}.get(way, 0.0)
    assert torch.allclose(model(X), net()(X), rtol=0, atol=tolerance)
    assert said in "\n".join(notes)
    assert bool(notes) == bool(said)


def test_save_model_drops_names_of_ties(tmp_path: Path) -> None:
    """What safetensors' own save_model leaves out of a tied network is found again."""
    save_model(net(), str(tmp_path / "w.safetensors"))
    model = net(1)
    copy_into(model, taken(load_file(tmp_path / "w.safetensors"), model, note=lambda text: None))
    assert torch.equal(model(X), net()(X))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head.weight": OWN["head.weight"].to(torch.int8)}, "head.weight is int8: without the scale"),
        ({"head.weight": OWN["head.weight"].to(torch.float8_e4m3fn)}, "float8_e4m3fn: without the scale"),
        (
            {"head.weight": torch.zeros(4, 8), "other.weight": torch.zeros(4, 8)},
            r"2 of another shape: head.weight is \(4, 8\)",
        ),
        ({"haed.bias": torch.zeros(3)}, r"1 missing: head.bias; 1 unknown: haed.bias \(did you mean head.bias\?\)"),
        ({"extra": torch.zeros(3)}, "1 unknown: extra"),
    ],
)
def test_what_cannot_be_taken_is_named(changes: dict[str, Tensor], message: str) -> None:
    """Numbers that need a scale, other shapes and other names are refused with the shortest list of what differs."""
    weights = OWN | changes
    if "haed.bias" in changes:
        del weights["head.bias"]
    with pytest.raises(ValueError, match=message):
        taken(weights, net(), note=lambda text: None)


def test_two_values_of_one_tensor_are_refused() -> None:
    """A tie that is broken in the file is an error, whichever of the two would have been written last."""
    with pytest.raises(ValueError, match=r"head\.weight and other\.weight are one tensor"):
        copy_into(net(), OWN | {"other.weight": OWN["other.weight"] + 1})


@pytest.mark.parametrize(
    "saved",
    [
        dict,
        lambda own: {"state_dict": own, "epoch": 3},
        lambda own: {"net": own, "optimizer": {"lr": 0.1}},
        lambda own: {"model_state_dict": own},
    ],
)
def test_a_pickle_is_recognised_and_its_conversion_runs(tmp_path: Path, saved: Callable[..., object]) -> None:
    """A file of torch.save is refused with a line that makes a file of weights out of it, which is then taken."""
    path = tmp_path / "mine.pt"
    torch.save(saved(net().state_dict()), path)
    with pytest.raises(ValidationError, match=r"torch\.save or pickle wrote it") as refused:
        Trained.model_validate({"files": [str(path)]})
    line = str(refused.value).partition("python -c ")[2].partition(" [type=")[0]
    subprocess.run(f"{sys.executable} -c {line}", shell=True, check=True)
    model = net(1)
    copy_into(model, taken(load_file(tmp_path / "mine.safetensors"), model, note=lambda text: None))
    assert torch.equal(model(X), net()(X))


@pytest.mark.parametrize(
    ("fields", "mean", "factor"),
    [
        ({"mean": [0.5], "std": [0.25]}, 0.5, 4.0),
        ({"input_range": [0.0, 255.0]}, 0.0, 255.0),
        ({"input_range": [-1.0, 1.0]}, 0.5, 2.0),
        ({"mean": [127.5], "std": [51.0], "input_range": [0.0, 255.0]}, 0.5, 5.0),
    ],
)
def test_normalisations(tmp_path: Path, fields: dict[str, list[float]], mean: float, factor: float) -> None:
    """A pixel of share p of white becomes (p - mean) · factor, as (black + p · (white - black) - mean) / std says."""
    save_file({}, tmp_path / "w.safetensors")
    method = Trained.model_validate({"files": [str(tmp_path / "w.safetensors")], **fields})
    assert method.input_statistics is not None
    (found,), (std,) = method.input_statistics
    assert (found, 1 / std) == pytest.approx((mean, factor))
    with pytest.raises(ValidationError, match="belong together"):
        Trained.model_validate({"files": [str(tmp_path / "w.safetensors")], "mean": [0.5]})
