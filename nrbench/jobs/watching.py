"""Watching: the watchers of a run are told what is added to its log, and none of them can harm it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nrbench.base.errors import NrbenchError, told
from nrbench.base.log import Event, RunLog, followed
from nrbench.families.watcher import Told, Watcher

log = logging.getLogger(__name__)


@contextmanager
def watched(watchers: Sequence[Watcher], folder: Path, run_log: Path, names: Mapping[str, str]) -> Iterator[None]:
    """Tell watchers what is added to a run log for as long as the context lasts; one that raises is told no more.

    `names` are the labels of trainings by key. An `NrbenchError` of one that cannot begin is raised.
    """
    with ExitStack() as entered:
        for watcher in watchers:
            entered.enter_context(_followed_by(watcher, folder, run_log, names))
        yield


@contextmanager
def _followed_by(watcher: Watcher, folder: Path, run_log: Path, names: Mapping[str, str]) -> Iterator[None]:
    listening: list[Told] = []

    def tell(event: Event) -> None:
        try:
            for each in listening:
                each(names.get(event.training, event.training), event)
        except BaseException as error:  # a plugin's own, in a thread of its own
            listening.clear()
            log.warning("the watcher %s failed, and is told no more: %s", watcher.name, told(error))

    entered = ExitStack()
    try:
        listening.append(entered.enter_context(watcher.following(folder)))
    except NrbenchError:
        raise
    except Exception as error:
        log.warning("the watcher %s failed: %s", watcher.name, told(error))
    try:
        with followed(RunLog(run_log), tell):
            yield
    finally:
        try:
            entered.close()
        except BaseException as error:
            log.warning("the watcher %s failed at the end: %s", watcher.name, told(error))
