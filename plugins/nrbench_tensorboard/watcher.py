"""Event files for TensorBoard, a run of it for each training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from nrbench import Event, MissingError, Told, Watcher


class TensorBoard(Watcher):
    """The training loss after each epoch, as TensorBoard's scalar `loss`, with a run of it for each training.

    The files are in `tensorboard/` beside the leaderboard: `tensorboard --logdir results/<suite>/tensorboard`.
    """

    name: Literal["tensorboard"] = "tensorboard"

    @contextmanager
    def following(self, folder: Path) -> Iterator[Told]:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingError(
                "the watcher tensorboard needs TensorBoard: pip install 'nrbench[tensorboard]'"
            ) from None
        writers: dict[str, Any] = {}

        def told(training: str, event: Event) -> None:
            if event.training not in writers:
                place = folder / "tensorboard" / f"{_plain(training)}-{event.training[:8]}"
                writers[event.training] = SummaryWriter(str(place))
            writer = writers[event.training]
            if event.kind == "epoch" and event.loss is not None:
                writer.add_scalar("loss", event.loss, event.epoch, walltime=event.time)
            elif event.kind == "failed":
                writer.add_text("failed", event.message, walltime=event.time)
            elif event.kind == "finished":
                writer.close()

        try:
            yield told
        finally:
            for writer in writers.values():
                writer.close()


def _plain(text: str) -> str:
    """Return a text that may name a directory on any system."""
    return "".join(letter if letter.isalnum() or letter in "-_=.σρ" else "_" for letter in text)[:80]
