"""Sheets and figures: all that a reader sees of a leaderboard, whatever it is shown in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from nrbench.base.component import Frozen
from nrbench.base.errors import printable

Style = Literal["best", "second", "above", "failed", "supported", "contradicted", "undecided", ""]
"""What stands out: `best` is bold and `second` underlined, what lies beyond a staircase, what has no result, a verdict."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in a sheet."""

    text: str = ""
    below: tuple[str, ...] = ()
    """Small print under it."""
    styles: tuple[Style, ...] = ()
    details: tuple[str, ...] = ()
    """What is shown on demand, or behind the sheet where nothing can be asked for."""
    accuracy: float | None = None
    """In percent, where it is one."""
    spread: float | None = None
    """Its weight uncertainty."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above a column."""

    label: str
    group: str = ""
    """What stands above columns that belong together."""
    noise: str | None = None
    """The noise model that the column is about, where it is one."""
    wide: bool = False
    """Whether sentences stand in the column."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a sheet."""

    label: str
    entries: tuple[Entry, ...]
    group: str = ""


LONGEST_NUMBER = 4
"""Words of an entry that is a number: an interval has three, a number with two uncertainties too."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: `first` stands above the labels of the lines."""

    title: str
    first: str
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    """What a reader has to know, shown below."""
    folded: bool = False
    """Whether it is opened on demand, and left out where nothing can be asked for."""

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers, which are aligned right, or words: a sentence may begin with a number too."""
        texts = [line.entries[column].text for line in self.lines]
        return not any(len(text.split()) > LONGEST_NUMBER for text in texts) and all(
            not text or text[0] in "0123456789-+" or self.heads[column].noise is not None for text in texts
        )

    def fitting(self, widths: Sequence[float], room: float) -> Iterator[Sheet]:
        """Yield it in parts of as many columns as fit beside the labels, one at least, given the width of each."""
        start = 0
        while start < len(widths):
            stop = start + 1
            while stop < len(widths) and sum(widths[start : stop + 1]) <= room:
                stop += 1
            lines = tuple(Line(line.label, line.entries[start:stop], line.group) for line in self.lines)
            title = f"{self.title}, continued" if start else self.title
            yield Sheet(title, self.first, self.heads[start:stop], lines)
            start = stop


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture."""

    title: str
    seen: str
    """A sentence that says what is seen: its text alternative, and its caption."""
    svg: bytes
    data: str = ""
    """The numbers in it, as CSV; nothing where they are in a table of the page."""
    stem: str = ""
    """The name of its files; its number on the page where it has none."""
    draw: Callable[[str], bytes] | None = field(default=None, compare=False, repr=False)
    """Draws it in another format, such as png or pdf."""


def text_lines(rows: Sequence[Sequence[str]]) -> tuple[Line, ...]:
    """Return lines of plain texts; the first of each is its label."""
    return tuple(Line(first, tuple(map(Entry, rest))) for first, *rest in rows)


def heads(*labels: str) -> tuple[Head, ...]:
    """Return heads that are labels alone."""
    return tuple(map(Head, labels))


def rounded(value: float, digits: int = 2) -> str:
    """Return a number with so many decimals; a half is rounded away from zero, as it stands in decimal digits."""
    step = Decimal(1).scaleb(-digits)
    return f"{Decimal(repr(round(value, 9))).quantize(step, ROUND_HALF_UP):f}"


def shown(value: Any, digits: int = 2) -> str:
    """Return a value as a reader sees it: a number with so many decimals, an interval as two of them, nothing for None."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return rounded(value, digits)
    if isinstance(value, tuple):
        joint = " to " if isinstance(value[0], float) else " "
        return joint.join(shown(item, digits) for item in value)
    if isinstance(value, Frozen):
        return " ".join(filter(None, _parts(value, digits)))
    return printable(str(value))


def _parts(value: Frozen, digits: int) -> Iterator[str]:
    for name in type(value).model_fields:
        item = getattr(value, name)
        yield (
            f"({shown(item, digits)})"
            if isinstance(item, tuple)
            else ""
            if isinstance(item, str)
            else shown(item, digits)
        )


def uncertainties(noise: float | None, weight: float | None) -> tuple[str, ...]:
    """Return ± over noise draws and ± over seeds, as far as they exist, as one text."""
    known = " ".join(f"±{rounded(value)}" for value in (noise, weight) if value is not None)
    return (known,) if known else ()


def shown_bytes(count: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB")):
        if count >= 2**power:
            return f"{count / 2**power:.1f} {unit}"
    return f"{count / 2**10:.0f} KiB"


def shown_seconds(seconds: float) -> str:
    """Return a time in the units that suit it."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"
