"""Watchers: they are told what happens in a run, and whatever they do costs no cell anything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

import nrbench as package
from nrbench import Event, MissingError, Options, Suite, Told, Watcher
from tests.conftest import Finished

Command = Callable[..., Finished]
Write = Callable[..., Path]
SEEN: list[tuple[str, Event]] = []


class Keeping(Watcher):
    """Keeps what it is told."""

    name: Literal["keeping"] = "keeping"

    @contextmanager
    def following(self, folder: Path) -> Iterator[Told]:
        SEEN.clear()
        yield lambda training, event: SEEN.append((training, event))


class Broken(Watcher):
    """Raises somewhere."""

    name: Literal["broken"] = "broken"

    where: Literal["begin", "told", "end"]
    """Where it raises."""

    @contextmanager
    def following(self, folder: Path) -> Iterator[Told]:
        if self.where == "begin":
            raise RuntimeError("it cannot begin")
        yield self._told
        if self.where == "end":
            raise RuntimeError("it cannot end")

    def _told(self, training: str, event: Event) -> None:
        if self.where == "told":
            raise SystemExit("enough")


def test_a_watcher_is_told_every_epoch(tiny: Suite, tmp_path: Path) -> None:
    """The events of each training, with its labels, in order: those that the records have."""
    package.run(tiny, options=Options(out=tmp_path, watchers=[Keeping()]))
    assert len({training for training, _ in SEEN}) == 4
    for training in {training for training, _ in SEEN}:
        own = [event for name, event in SEEN if name == training]
        assert [event.kind for event in own] == ["started", "epoch", "epoch", "epoch", "finished"]
        record = package.Store(tmp_path / "store").training(own[0].training).record()
        assert [event.loss for event in own[1:-1]] == [epoch.loss for epoch in record.epochs]


@pytest.mark.parametrize("where", ["begin", "told", "end"])
def test_one_that_raises_costs_nothing(
    tiny: Suite, tmp_path: Path, where: Literal["begin", "told", "end"], caplog: pytest.LogCaptureFixture
) -> None:
    """The board has the same bytes as without it, the other watcher is told everything, and a warning says what happened."""
    alone = package.run(tiny, options=Options(out=tmp_path / "alone"))
    board = package.run(tiny, options=Options(out=tmp_path / "with", watchers=[Broken(where=where), Keeping()]))
    assert board.json_bytes() == alone.json_bytes()
    assert len(SEEN) == 4 * 5
    assert caplog.text.count("the watcher broken failed") == 1


def test_tensorboard_has_the_losses(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """What TensorBoard reads back are the losses of the records, a run for each training."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert nrbench("run", write_suite(), "-o", tmp_path, "-q", "--watch", "tensorboard").code == 0
    runs = list((tmp_path / "tiny" / "tensorboard").iterdir())
    assert len(runs) == 4
    for folder in runs:
        found = accumulator.EventAccumulator(str(folder))
        found.Reload()
        key = folder.name.rpartition("-")[2]
        (training,) = (tmp_path / "store" / "trainings").glob(f"{key}*")
        record = package.Store(tmp_path / "store").training(training.name).record()
        assert [point.step for point in found.Scalars("loss")] == [1, 2, 3]
        assert [point.value for point in found.Scalars("loss")] == pytest.approx([e.loss for e in record.epochs])


def test_without_tensorboard_nothing_is_run(
    nrbench: Command, write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where TensorBoard is not installed it says what to install, and an unknown watcher is refused."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = nrbench("run", write_suite(), "-o", tmp_path, "-q", "--watch", "tensorboard")
    assert done.code == MissingError.exit_code
    assert "pip install 'nrbench[tensorboard]'" in done.err
    assert not (tmp_path / "store" / "trainings").exists()
    done = nrbench("run", write_suite(), "-o", tmp_path, "--watch", "tensorbord")
    assert done.code == 2
    assert "did you mean 'tensorboard'" in done.err
    arguments: Any = {"where": "nowhere"}
    with pytest.raises(ValueError, match="begin"):
        Broken(**arguments)
