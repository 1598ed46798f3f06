"""The errors nrbench raises on purpose; each knows the exit code of the command that meets it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any


def printable(text: str) -> str:
    """Return a text as it is shown anywhere: on one line, without control characters and marks that turn its direction.

    Labels, keys, names of files and what plugins raise may hold any of them, and a terminal obeys them.
    """
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def shown_json(value: Any) -> str:
    """Return plain data as JSON for people and programs; see `escaped`."""
    return escaped(json.dumps(value, indent=2, ensure_ascii=False))


def escaped(text: str) -> str:
    """Return a JSON text in which what cannot be printed is written as `\\u…`, which reads the same."""
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(letter: str) -> str:
    return letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]


LONGEST = 2000
"""Letters of a message that are kept."""


def told(error: BaseException) -> str:
    """Return the kind and the message of an exception, whatever it is: its text may raise, be no text, or have no end."""
    try:
        text = str(error).encode(errors="backslashreplace").decode()
    except BaseException:  # a text that raises is its author's own fault too
        text = "its text cannot be shown"
    text = f"{type(error).__name__}: {text}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a text: its file (or the flag it came from), and line and column counted from 1."""

    file: str
    line: int = 1
    column: int = 1
    source: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a suite: where it stands, which field it is about, what is wrong and what would be right."""

    mark: Mark
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        subject = f"{self.path}: " if self.path else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.mark}: {subject}{self.message}{hint}"

    def as_json(self) -> dict[str, str | int | None]:
        """The problem as plain data."""
        mark = self.mark
        place: dict[str, str | int | None] = {"file": mark.file, "line": mark.line, "column": mark.column}
        return place | {"path": self.path, "message": self.message, "hint": self.hint or None}

    def with_source(self) -> str:
        """The problem, then the line it stands in with a caret below the column."""
        if not self.mark.source:
            return str(self)
        return f"{self}\n    {self.mark.source}\n    {' ' * (self.mark.column - 1)}^"


class NrbenchError(Exception):
    """Whatever nrbench refuses or cannot do, said in one sentence."""

    exit_code = 1


class UsageError(NrbenchError):
    """The command was asked for something that makes no sense."""

    exit_code = 2


class SuiteError(NrbenchError):
    """A suite is invalid; `problems` holds every mistake found, in the order of the text."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        unique = dict.fromkeys(problems)
        self.problems = tuple(sorted(unique, key=lambda p: (p.mark.file, p.mark.line, p.mark.column)))
        super().__init__("\n".join(map(str, self.problems)))


class NameLookupError(NrbenchError):
    """A name stands for no component, or for more than one."""

    exit_code = 2


class MissingError(NrbenchError):
    """Something outside the suite is missing: a device, a plugin, an extra."""

    exit_code = 3


class DataError(NrbenchError):
    """A data set or another input file is missing or is not what it should be."""

    exit_code = 3


class StoreError(NrbenchError):
    """Results cannot be written or read."""

    exit_code = 5


class StoppedError(NrbenchError):
    """A signal stopped the run; what was finished is stored and the same command resumes."""

    exit_code = 75


def did_you_mean(name: object, known: Sequence[str]) -> str:
    """`did you mean 'x'?` when a known name is close to what was written, else an empty string."""
    spelt = {each.lower(): each for each in known}
    lower = get_close_matches(str(name).lower(), spelt, n=1)
    close = get_close_matches(str(name), known, n=1) or [spelt[each] for each in lower]
    return f"did you mean '{close[0]}'?" if close else ""
