"""The leaderboard as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tabulate import tabulate

from nrbench.base.errors import printable
from nrbench.report.page import Page
from nrbench.report.sheet import Entry, Sheet


def markdown_text(page: Page) -> str:
    """Return a page with its sheets, and what the numbers mean."""
    return "\n".join(_parts(page)) + "\n"


def _parts(page: Page) -> Iterator[str]:
    yield f"# {escape(page.title)}\n"
    if page.description:
        yield escape(page.description) + "\n"
    yield from (f"- **{escape(flag)}**" for flag in page.flags)
    for sheet in (sheet for sheet in page.sheets if not sheet.folded):
        yield f"\n## {escape(sheet.title)}\n"
        yield _grid(sheet)
        if sheet.notes:
            yield "\n" + " ".join(map(escape, sheet.notes))
    yield "\n" + " ".join(map(escape, (*page.notes, *page.facts)))


def _grid(sheet: Sheet) -> str:
    headers = [f"{head.group}: {head.label}" if head.group else head.label for head in sheet.heads]
    rows = [
        [escape(f"{line.group}: {line.label}" if line.group else line.label), *map(_cell, line.entries)]
        for line in sheet.lines
    ]
    return tabulate(
        rows, [escape(header) for header in (sheet.first, *headers)], tablefmt="pipe", disable_numparse=True
    )


def _cell(entry: Entry) -> str:
    before, after = "", ""
    if "best" in entry.styles:
        before, after = "**", "**"
    if "second" in entry.styles:
        before, after = f"<u>{before}", f"{after}</u>"
    spread, *rest = (*map(escape, entry.below), "") if entry.accuracy is not None else ("", *map(escape, entry.below))
    first = f"{before}{escape(entry.text)}{after} {spread}".rstrip()
    return "<br>".join([first, *(f"<sub>{text}</sub>" for text in rest if text)])


def escape(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", printable(text))
