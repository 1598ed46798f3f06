"""What is stored of a training is what was trained and judged, or the training is an error with the two counts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from nrbench import Backbone, Recipe, Sgd, Training
from nrbench.families.selection import Last
from nrbench.jobs.job import Job, Setting, run_job
from nrbench.jobs.results import CellResult
from nrbench.suite.cell import Cell
from nrbench.testing import SmallDataset, SmallNetwork
from nrbench_methods import SGD, Averaged
from nrbench_noise import NoNoise


class Counting(nn.Module):
    """Multiplies with the number of its training passes, which stands in no parameter and no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += self.training
        return x * (-1) ** min(self.passes // 4, 1)


class Remembers(Backbone):
    """A network that is another one from its fourth training pass on."""

    name: Literal["remembers"] = "remembers"

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        return nn.Sequential(SmallNetwork().build(num_classes=num_classes, input_shape=input_shape), Counting())


class Explodes(SGD):
    """SGD whose last update makes the weights too large to compute with."""

    name: Literal["explodes"] = "explodes"  # type: ignore[assignment]

    def update(self, step: Any) -> None:
        super().update(step)
        if step.clock.step + 1 == step.clock.total:
            for parameter in step.model.parameters():
                parameter.data.fill_(1e30)


def result(tmp_path: Path, backbone: Backbone, method: Any) -> CellResult:
    recipe = Recipe(epochs=2, batch_size=16, held_out=0.0, optimizer=Sgd(lr=0.1), augment=())
    training = Training(SmallDataset(), backbone, method, recipe, seed=0)
    cell = Cell(training, NoNoise(), 1, Last())
    found = run_job(Job(training, (cell,)), Setting(tmp_path / "store", tmp_path))[cell.key]
    assert isinstance(found, CellResult)
    return found


def test_a_network_that_remembers_its_training_is_an_error(tmp_path: Path) -> None:
    """What it was trained to is not what its weights give in a network that they are loaded into."""
    with pytest.raises(ValueError, match="it remembers something of its training"):
        result(tmp_path, Remembers(), SGD())


def test_weights_that_nothing_finite_can_be_computed_with_are_diverged(tmp_path: Path) -> None:
    """After a last update to 10³⁰ the cell is diverged, and no 0 % that is ok."""
    assert result(tmp_path, SmallNetwork(), Explodes()).status == "diverged"


@pytest.mark.parametrize("method", [SGD(), Averaged(method=SGD(), start=0.0)])
def test_stored_weights_have_the_counts_of_plain_torch(tmp_path: Path, method: Any) -> None:
    """The clean count of a cell is that of its stored weights in a network that plain PyTorch loads; its start has a hash."""
    found = result(tmp_path, SmallNetwork(), method)
    assert found.start is not None
    assert len(found.start) == 64
    (file,) = (tmp_path / "store" / "trainings").glob("*/epochs/2.safetensors")
    data = SmallDataset().load(Path())
    model = SmallNetwork().build(num_classes=3, input_shape=(2, 6, 6))
    model.load_state_dict(load_file(file))
    model.eval()
    pixels = (data.test.images.float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        right = int((model(pixels).argmax(1) == data.test.labels).sum())
    assert found.clean_correct == right


class BySet(Backbone):
    """Draws its layers in the order of a set of texts, which is another one in each process."""

    name: Literal["by_set"] = "by_set"

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        layers = {name: nn.Linear(72, 72) for name in {f"layer {number}" for number in range(40)}}
        return nn.Sequential(nn.Flatten(), layers["layer 7"], nn.Linear(72, num_classes))


def first_weights(store: str) -> None:
    """Run one cell of the network on a store and print what came of it."""
    try:
        result(Path(store), BySet(), SGD())
        print("taken")
    except ValueError as error:
        print(str(error)[:60])


def test_first_weights_of_another_process_are_compared(tmp_path: Path) -> None:
    """A network that depends on the order of a set, the same within a process, is an error in the process that differs."""
    said = []
    for number in range(2):
        code = f"from tests.jobs.test_stored import first_weights; first_weights({str(tmp_path)!r})"
        environment = {**os.environ, "PYTHONHASHSEED": str(number)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        said.append(done.stdout.strip())
        shutil.rmtree(tmp_path / "store" / "trainings")
        shutil.rmtree(tmp_path / "store" / "cells", ignore_errors=True)
    assert said == ["taken", "its first weights are others than another process had for se"]
