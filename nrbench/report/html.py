"""The leaderboard as one self-contained HTML page, readable without JavaScript."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nrbench.base.errors import printable
from nrbench.report.page import Page
from nrbench.report.sheet import Head


def html_page(page: Page) -> str:
    """Return the page; every label in it is escaped, and it asks the network for nothing."""
    environment = Environment(
        loader=PackageLoader("nrbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    pictures = [(figure.title, b64encode(figure.svg).decode()) for figure in page.figures]
    template = environment.get_template("leaderboard.html")
    return template.render(page=page, pictures=pictures, spans=spans) + "\n"


def _shown(value: object) -> object:
    """Return a text as it may be shown; what the template made itself is whole already."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def spans(heads: Sequence[Head]) -> Iterator[tuple[str, int]]:
    """Yield each run of equal groups of columns and its length; nothing where no column has a group."""
    if any(head.group for head in heads):
        for group, run in groupby(heads, key=lambda head: head.group):
            yield group, len(list(run))
