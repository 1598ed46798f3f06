"""Consoles: where text goes, and how wide it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """Return a console for results or, on standard error, for progress; labels in it are plain text."""
    from rich.console import Console

    class Quiet(Console):
        """A console that leaves a closed pipe to us: rich would exit with 1, which here means that cells failed."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Quiet(stderr=stderr, highlight=False, markup=False)
