"""Watchers: what is told of a run while it goes on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from nrbench.base.component import Component
from nrbench.base.log import Event

Told = Callable[[str, Event], None]
"""What is told the labels of a training and what happened to it."""


class Watcher(Component, family="watchers"):
    """Family: what follows a run, such as a writer of curves. What it raises is warned of, and costs no cell anything."""

    @abstractmethod
    def following(self, folder: Path) -> AbstractContextManager[Told]:
        """Return what is told each event of a run, for as long as the context lasts; `folder` is that of the leaderboard.

        It is told in a thread of the process that was started, in the order of the run log. Raise `MissingError` where
        something that it needs is not installed: then nothing is run.
        """
