"""Signals: the first asks a run to stop where it can go on later, the second makes it leave at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nrbench.base.errors import StoppedError

_SECOND_SIGNAL = 130
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""What asks a run to stop: Ctrl-C, an orderly end, a terminal that is gone."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first of the `SIGNALS` into `StoppedError`; a second one ends the process with exit code 130."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, leave)
        raise KeyboardInterrupt

    def leave(number: int, frame: FrameType | None) -> None:
        os._exit(_SECOND_SIGNAL)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError("stopped; what was finished is stored, and the same command goes on from there") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
