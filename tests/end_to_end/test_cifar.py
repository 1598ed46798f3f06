from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Finished
from tests.plugins.test_nrbench_datasets import write_cifar100

SUITE = """\
name: cifar
seeds: 1
draws: 2
datasets: {CIFAR-100: {name: cifar100, checksums: none}}
backbones:
  ours: {name: resnet, depth: 18}
  torchvision's: {name: torchvision, model: resnet18, cifar_stem: true}
  timm's: {name: timm, model: resnet18, cifar_stem: true, zero_init_last: false}
recipe: {epochs: 1, batch_size: 25, held_out: 0, augment: [crop, flip], precision: auto, keep_epochs: 0}
selections: {last: {name: last}}
methods: {RWP: {name: rwp, sigma: 0.02}}
noise: {Gaussian: {name: gaussian, sigma: 0.02}}
"""


def test_full_networks_on_files_in_cifars_format(
    nrbench: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ResNet-18 of ours, of torchvision and of timm are trained and judged on CIFAR-100 files, and the board says whose."""
    write_cifar100(tmp_path / "data")
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE)
    done = nrbench("run", suite, "-o", tmp_path / "out", "--data-dir", tmp_path / "data", "-q", "--json")
    assert done.code == 0, done.err
    board = json.loads(done.out)
    assert "CIFAR-100: non-standard data" in board["flags"]
    assert {row["backbone"]: row["status"] for row in board["rows"]} == dict.fromkeys(
        ["ours", "torchvision's", "timm's"], "ok"
    )


def test_data_that_is_missing_ends_a_run_before_it_starts(
    nrbench: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the files and without a network a run ends with exit code 3 and says what to put where; nothing is trained."""
    monkeypatch.setenv("NRBENCH_OFFLINE", "1")
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE.replace(", checksums: none", ""))
    done = nrbench("run", suite, "-o", tmp_path / "out", "--data-dir", tmp_path / "data", "-q")
    assert done.code == 3
    assert str(tmp_path / "data" / "cifar-100-python") in done.err.replace("\n", "")
    assert not (tmp_path / "out" / "store").exists()
