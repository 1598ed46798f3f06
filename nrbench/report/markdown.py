"""The leaderboard as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tabulate import tabulate

from nrbench.base.errors import printable
from nrbench.families.sheet import Entry, Figure, Sheet
from nrbench.report.page import Page


def markdown_text(page: Page) -> str:
    """Return a page with its sheets, and what the numbers mean."""
    return "\n".join(_parts(page)) + "\n"


def _parts(page: Page) -> Iterator[str]:
    yield f"# {escape(page.title)}\n"
    if page.description:
        yield escape(page.description) + "\n"
    yield from (f"- **{escape(sentence)}**" for sentence in page.lead)
    yield from (f"- {escape(flag)}" for flag in page.flags)
    pictures = {id(figure): stem for stem, figure in page.figures.items()}
    for chapter in page.chapters:
        parts = [part for part in chapter.parts if isinstance(part, Figure) or not part.folded]
        if parts:
            yield f"\n## {escape(chapter.title)}"
        for part in parts:
            yield f"\n### {escape(part.title)}\n"
            if isinstance(part, Figure):
                yield f"![{escape(part.seen)}](figures/{pictures[id(part)]}.svg)"
            else:
                yield _grid(part)
                yield from ("\n" + " ".join(map(escape, part.notes)) for _ in part.notes[:1])
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
    marked = re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", printable(text))
    return re.sub(r"^(\s*\d*)([-+.)=])(?=\s|[-=]|$)", r"\1\\\2", marked)  # what would begin a list, or is a line
