"""The leaderboard as one self-contained HTML page: whole without JavaScript, sorted and searched with it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from itertools import groupby
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nrbench.base.errors import printable
from nrbench.families.sheet import Figure, Head, Sheet
from nrbench.report.page import Page

SCRIPTS = ("vendor/dataTables.min.js", "page.js")
EMBEDDED = 100_000
"""Bytes up to which a file for download is in the page itself; a larger one is beside it."""


class Part(NamedTuple):
    """A sheet or figure, and where it is on the page."""

    anchor: str
    part: Sheet | Figure
    is_figure: bool


class Anchored(NamedTuple):
    """A chapter, and where it is on the page."""

    anchor: str
    title: str
    parts: Sequence[Part]


def html_page(page: Page, files_beside: Mapping[str, bytes]) -> str:
    """Return the page; every label in it is escaped, it asks the network for nothing and runs no script but its own.

    `files_beside` are the files for download, by name: their media type is that of plain text.
    """
    environment = Environment(
        loader=PackageLoader("nrbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    template = environment.get_template("leaderboard.html")
    chapters = list(anchored(page))
    pictures = [part.anchor for chapter in chapters for part in chapter.parts if part.is_figure]
    return (
        template.render(
            page=page,
            chapters=chapters,
            stems=dict(zip(pictures, page.figures, strict=True)),
            spans=spans,
            numerics=lambda sheet: [sheet.is_numeric(column) for column in range(len(sheet.heads))],
            encoded=lambda content: b64encode(content).decode(),
            style=_resource("page.css"),
            scripts=[_resource(name) for name in SCRIPTS],
            hashed=lambda script: f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
            downloads={name: _address(name, content) for name, content in files_beside.items()},
        )
        + "\n"
    )


def _shown(value: object) -> object:
    """Return a text as it may be shown; what is part of the page itself is whole already."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _resource(name: str) -> Markup:
    """Return a file that comes with the page, as it stands."""
    return Markup((files("nrbench.report") / "templates" / name).read_text(encoding="utf-8"))


def _address(name: str, content: bytes) -> Markup:
    if len(content) > EMBEDDED:
        return Markup(name)
    return Markup(f"data:text/plain;base64,{b64encode(content).decode()}")


def anchored(page: Page) -> Iterator[Anchored]:
    """Yield the chapters with anchors that follow from their titles, the same on every build."""
    seen: Counter[str] = Counter()

    def anchor(title: str) -> str:
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "part"
        seen[plain] += 1
        return plain if seen[plain] == 1 else f"{plain}--{seen[plain]}"

    for chapter in page.chapters:
        own = anchor(f"chapter {chapter.title}")
        yield Anchored(own, chapter.title, [Part(anchor(p.title), p, isinstance(p, Figure)) for p in chapter.parts])


def spans(heads: Sequence[Head]) -> Iterator[tuple[str, int]]:
    """Yield each run of equal groups of columns and its length; nothing where no column has a group."""
    if any(head.group for head in heads):
        for group, run in groupby(heads, key=lambda head: head.group):
            yield group, len(list(run))
