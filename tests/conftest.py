"""What several tests use: the registry of the installation, small suites, and the command line in this process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from nrbench import Registry, Suite, load_registry, load_suite

TINY = """\
name: tiny
seeds: 2
draws: 3
datasets: {synthetic: {name: synthetic, train_size: 128, test_size: 64}}
backbones: {MLP: {name: mlp, hidden: [16]}}
recipe: {epochs: 3, batch_size: 32, evaluation_batch: 32, augment: [flip], optimizer: {name: sgd, lr: 0.05}}
selections:
  chosen: {name: best_epoch, draws: 4}
  last: {name: last}
methods:
  SGD: {name: sgd}
  RWP: {name: rwp, sigma: 0.1}
noise:
  clean: {name: none}
  "Gaussian {sigma}": {name: gaussian, sigma: {sweep: [0.1, 0.3]}}
"""


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Pictures that a user's reports drew are not those of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests compute with one thread, as recipes do."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The components that are installed."""
    return load_registry()


@pytest.fixture
def write_suite(tmp_path: Path) -> Callable[..., Path]:
    """Write a suite's text to a file of a name and return its path."""

    def write(text: str = TINY, name: str = "suite.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def tiny(write_suite: Callable[..., Path], registry: Registry) -> Suite:
    """A suite of four trainings that takes a second."""
    return load_suite(write_suite(), registry)


class Finished(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def nrbench(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Run the command line in this process."""
    from nrbench.cli.main import main

    monkeypatch.setenv("NRBENCH_EXECUTOR", "serial")
    logger = logging.getLogger("nrbench")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logger.level)

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["nrbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        sys.stdout.flush()
        return Finished(int(caught.value.code or 0), *capfd.readouterr())

    return run
