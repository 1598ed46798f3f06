from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nrbench import Leaderboard, Options, Registry, Store, Suite, SuiteError, load_suite
from nrbench import run as run_suite
from nrbench.cli.judge import suite_text
from nrbench.testing.component import check_is_described, check_survives_json
from nrbench_methods import Trained
from tests.conftest import TINY, Finished

Command = Callable[..., Finished]
WRITE = Callable[..., Path]
TRAINED = """\
extends: suite.yaml
name: judged
methods: {RWP: null, mine: {name: trained, files: [weights/0.safetensors, weights/1.safetensors]}}
"""


@pytest.fixture
def run(tiny: Suite, tmp_path: Path) -> tuple[Leaderboard, Path]:
    """The tiny suite, run."""
    return run_suite(tiny, options=Options(out=tmp_path / "out")), tmp_path


def test_the_weights_of_a_cell_are_those_of_its_epoch(run: tuple[Leaderboard, Path], nrbench: Command) -> None:
    """Exported by the beginning of its key, a cell gives the stored weights of the epoch that was chosen for it."""
    board, folder = run
    row = next(row for row in board.rows if row.selection == "chosen" and row.noise == "Gaussian 0.3")
    done = nrbench("export", row.cells[1][:12], "-o", folder / "out", "--to", folder / "w.safetensors", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["cell"], told["epoch"]) == (row.cells[1], row.selected_epochs[1])
    stored = folder / "out" / "store" / "trainings" / told["training"] / "epochs" / f"{told['epoch']}.safetensors"
    first, second = load_file(folder / "w.safetensors"), load_file(stored)
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)
    with safe_open(folder / "w.safetensors", "pt") as opened:
        assert opened.metadata() == {key: str(told[key]) for key in ("cell", "training", "epoch")}


def test_exported_weights_are_judged_without_training(
    run: tuple[Leaderboard, Path], nrbench: Command, registry: Registry
) -> None:
    """As a method of another suite they are right and wrong on the same images as where they were trained, and flagged."""
    board, folder = run
    (folder / "weights").mkdir()
    last = next(r for r in board.rows if (r.method, r.selection, r.noise) == ("RWP", "last", "Gaussian 0.1"))
    for seed, cell in enumerate(last.cells):
        done = nrbench("export", cell, "-o", folder / "out", "--to", folder / "weights" / f"{seed}.safetensors")
        assert "epoch 3 of training" in done.out
    (folder / "judged.yaml").write_text(TRAINED)
    suite = load_suite(folder / "judged.yaml", registry)
    judged = run_suite(suite, options=Options(out=folder / "judged"))
    found = {row.noise: row for row in judged.rows if (row.method, row.selection) == ("mine", "last")}
    for row in (row for row in board.rows if (row.method, row.selection) == ("RWP", "last")):
        mine = found[row.noise]
        assert (mine.by_seed, mine.minimum, mine.noise_std) == (row.by_seed, row.minimum, row.noise_std)
        assert (mine.selected_epochs, mine.passes_per_step) == ((0, 0), 0.0)
    assert "mine: trained elsewhere" in judged.flags
    again = Store(folder / "judged" / "store")
    assert Leaderboard.of(suite, again).json_bytes() == judged.json_bytes()


def test_weights_that_do_not_fit(run: tuple[Leaderboard, Path], nrbench: Command, registry: Registry) -> None:
    """Weights of another network fail their own cells by name; files that are none, or too few, are errors of the suite."""
    board, folder = run
    (folder / "weights").mkdir()
    nrbench("export", board.rows[0].cells[0], "-o", folder / "out", "--to", folder / "weights" / "0.safetensors")
    tensors = load_file(folder / "weights" / "0.safetensors")
    (name, *_) = tensors
    save_file(
        {f"{key}x" if key == name else key: value for key, value in tensors.items()},
        folder / "weights" / "1.safetensors",
    )
    path = folder / "judged.yaml"
    path.write_text(TRAINED)
    judged = run_suite(load_suite(path, registry), options=Options(out=folder / "judged"))
    mine = [row for row in judged.rows if row.method == "mine"]
    assert {row.status for row in mine} == {"error"}
    assert all("weights of another network" in (row.reason or "") and name in (row.reason or "") for row in mine)
    assert all(row.by_seed[0] is not None for row in mine)
    with pytest.raises(SuiteError, match="there are weights for 2 of 3 seeds"):
        load_suite(path, registry, settings=["seeds=3"])
    (folder / "weights" / "1.safetensors").write_bytes(b"no weights")
    with pytest.raises(SuiteError, match="holds no weights in the safetensors format"):
        load_suite(path, registry)


def test_what_cannot_be_exported(run: tuple[Leaderboard, Path], nrbench: Command) -> None:
    """A key that no cell has, or several, and weights that are gone, are told apart, with their exit codes."""
    board, folder = run
    cells = [cell for row in board.rows for cell in row.cells]
    several = next(c[:1] for c in cells if sum(other[0] == c[0] for other in cells) > 1)
    for key, message in (("z", "no cell"), (several, "cells with a key that starts"), ("../x", "no cell")):
        done = nrbench("export", key, "-o", folder / "out")
        assert done.code == 2
        assert message in done.err
    for path in (folder / "out" / "store").rglob("epochs/*.safetensors"):
        path.unlink()
    done = nrbench("export", cells[0], "-o", folder / "out")
    assert done.code == 5
    assert "are lost" in done.err


def test_trained_weights_cannot_be_ramped(write_suite: WRITE, tmp_path: Path, registry: Registry) -> None:
    """There is nothing to ramp in weights that are not trained."""
    save_file({}, tmp_path / "w.safetensors")
    method = "RWP: {name: ramped, schedule: {name: linear}, method: {name: trained, files: [w.safetensors]}}"
    with pytest.raises(SuiteError, match="cannot be ramped"):
        load_suite(write_suite(TINY.replace("RWP: {name: rwp, sigma: 0.1}", method)), registry)


def test_trained_weights_pass_the_published_checks(tmp_path: Path) -> None:
    """A method made of files is described and is the same after its own JSON was read again."""
    save_file({"w": torch.ones(2)}, tmp_path / "w.safetensors")
    own = Trained.model_validate({"files": [str(tmp_path / "w.safetensors")]})
    check_is_described(own)
    check_survives_json(own)


def test_judging_a_file_without_a_suite(run: tuple[Leaderboard, Path], tiny: Suite, nrbench: Command) -> None:
    """The weights of a cell, brought in as a file, have the cell's own clean accuracy to the image, and the suite is left."""
    board, folder = run
    row = next(row for row in board.rows if row.noise == "clean")
    assert nrbench("export", row.cells[0], "-o", folder / "out", "--to", folder / "mine.safetensors").code == 0
    backbone = tiny.backbones[row.backbone].model_dump_json()
    dataset = tiny.datasets[row.dataset].model_dump_json()
    done = nrbench(
        "judge", folder / "mine.safetensors", "--backbone", backbone, "--dataset", dataset,
        "--noise", "{name: gaussian, sigma: 0.1}", "--draws", "2", "-o", folder / "judged",
    )  # fmt: skip
    assert done.code == 0, done.err
    judged = Leaderboard.from_json((folder / "judged" / "judge-mine" / "leaderboard.json").read_bytes())
    (clean,) = [each for each in judged.rows if each.noise == "clean"]
    assert clean.by_seed[0] == row.by_seed[0]
    assert nrbench("validate", folder / "judged" / "judge-mine" / "suite.yaml").code == 0
    assert (
        nrbench("judge", folder / "mine.safetensors", "--backbone", "[1]", "--dataset", "x", "--noise", "y").code == 2
    )


def test_two_noise_models_of_one_name_are_two_columns() -> None:
    """Asked for at two strengths one after the other, a noise model has a row of each."""
    text = suite_text(
        "twice", weights=["w"], backbone={"name": "mlp"}, dataset={"name": "x"}, also={}, draws=2, method="t", clean="c",
        noise=[{"name": "gaussian", "sigma": sigma} for sigma in (0.1, 0.2, 0.3)],
    )  # fmt: skip
    assert [line.split(": ")[0].strip() for line in text.splitlines()[-3:]] == [
        '"gaussian"',
        '"gaussian #2"',
        '"gaussian #3"',
    ]


def test_there_and_back_again(tmp_path: Path, nrbench: Command) -> None:
    """Trained by a script that knows nothing of nrbench, a network has here the accuracy it had there, to the image, and goes back whole."""
    torch.manual_seed(0)
    labels = torch.arange(160) % 4
    images = (torch.randint(256, (4, 3, 32, 32))[labels] + 60 * torch.randn(160, 3, 32, 32)).clamp(0, 255).byte()
    splits = {
        "train_images": images[:80],
        "train_labels": labels[:80],
        "test_images": images[80:],
        "test_labels": labels[80:],
    }
    numpy.savez(tmp_path / "mine.npz", **{name: part.numpy() for name, part in splits.items()})
    mean, std = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1), torch.tensor([0.2, 0.25, 0.3]).view(3, 1, 1)

    def inputs(part: torch.Tensor) -> torch.Tensor:
        return (part / 255 - mean) / std

    net = torch.nn.DataParallel(timm.create_model("test_resnet", num_classes=4)).train()
    sgd = torch.optim.SGD(net.parameters(), 0.02, momentum=0.9)
    for _ in range(3):
        for batch in torch.randperm(80).split(16):
            sgd.zero_grad()
            torch.nn.functional.cross_entropy(net(inputs(images[batch])), labels[batch]).backward()
            sgd.step()
    with torch.no_grad():
        logits = net.eval()(inputs(images[80:]))
    right = int((logits.argmax(1) == labels[80:]).sum())
    assert 20 < right < 80
    save_file(net.state_dict(), tmp_path / "mine.safetensors")
    done = nrbench(
        "judge", tmp_path / "mine.safetensors", "--backbone", "{name: timm, model: test_resnet}",
        "--dataset", f"{{name: npz, file: {tmp_path / 'mine.npz'}}}", "--noise", "{name: gaussian, sigma: 0.05}",
        "--with", "{mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3]}", "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.code == 0, done.err
    board = Leaderboard.from_json((tmp_path / "out" / "judge-mine" / "leaderboard.json").read_bytes())
    clean, noisy = board.rows
    assert round(80 * (clean.by_seed[0] or 0) / 100, 9) == right
    back = tmp_path / "back.safetensors"
    assert nrbench("export", noisy.cells[0], "-o", tmp_path / "out", "--to", back).code == 0
    again = timm.create_model("test_resnet", num_classes=4)
    again.load_state_dict(load_file(back))
    with torch.no_grad():
        assert again.eval()(inputs(images[80:])).equal(logits)
