"""Checks of watchers."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from nrbench.base.log import Event
from nrbench.families.watcher import Watcher


def check_watcher_takes_every_event(watcher: Watcher) -> None:
    """It may be told any kind of event in any order, of a loss that is not finite too, and ends without an error."""
    with TemporaryDirectory() as folder, watcher.following(Path(folder)) as told:
        for kind in ("started", "epoch", "failed", "finished", "epoch"):
            for loss in (1.0, None):
                event = Event.model_validate(
                    {"training": "0" * 32, "kind": kind, "epoch": 1, "loss": loss, "time": 1.0}
                )
                told("SGD, network / images, seed 0", event)


CHECKS = (check_watcher_takes_every_event,)
