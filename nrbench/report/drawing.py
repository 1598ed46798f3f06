"""Drawing: pictures as SVG, the same bytes for the same numbers."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nrbench.base.errors import printable
from nrbench.families.sheet import Figure
from nrbench.report.csv import csv_lines
from nrbench.report.pictures import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP*Xdhp<>8"
MANY = 150
"""Of more lines than these none are picked out: such a board is searched, its pictures would double the time."""
LONGEST = 60
"""Letters of a label in a picture."""
LOOK: Any = {
    "svg.hashsalt": "nrbench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial"],  # all of matplotlib's are named with every text
}
_COORDINATES = re.compile(r'\s(?:d|x|y|points|transform)="[^"]*"')
_DECIMALS = re.compile(r"(\.\d\d)\d+")
"""Hundredths of a point are enough: a quarter of the bytes are behind them."""
_LINES = re.compile(r' d="((?:[ML] [-\d.]+ [-\d.]+ ?\n?|z\n?)+)"')
_STYLE = re.compile(r' style="[^"]*"')
_CORNER = re.compile(r"([MLz])(?: ([-\d.]+) ([-\d.]+))?")
DASHES = ("-", "--", "-.", ":")


def drawn(
    title: str,
    seen: str,
    draw: Callable[[Sequence[Axes]], None],
    *,
    panels: int = 1,
    size: tuple[float, float] = (7.2, 4.2),
    alike: bool = True,
    data: Sequence[Sequence[Any]] = (),
) -> Figure:
    """Return a figure of so many panels side by side, `size` inches in all, that `draw` fills.

    No date is in it and no id depends on chance. What `draw` labels is listed beside the panels, once. Panels of
    things that are `alike` have one scale. `data` are the lines of the CSV beside it, the first with the names of columns.
    """
    render = partial(_rendered, draw, panels, size, alike)
    svg = picture(draw, partial(render, "svg"), panels, size, alike)
    return Figure(title, seen, svg, csv_lines(data[0], data[1:]) if data else "", draw=render)


def _rendered(
    draw: Callable[[Sequence[Axes]], None], panels: int, size: tuple[float, float], alike: bool, kind: str
) -> bytes:
    import matplotlib

    with (
        matplotlib.rc_context(LOOK),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the text stays text, for the fonts of who reads it
        warnings.filterwarnings("ignore", "constrained_layout not applied")
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas(figsize=size, layout="constrained")
        axes = canvas.subplots(1, panels, squeeze=False, sharey=alike)[0]
        draw(axes)
        handles, labels = axes[0].get_legend_handles_labels()
        if labels:
            canvas.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9)
        for axis in axes:
            axis.spines[["top", "right"]].set_visible(False)
        stream = io.BytesIO()
        date = {"svg": "Date", "pdf": "CreationDate"}.get(kind)
        canvas.savefig(stream, format=kind, metadata={date: None} if date else None, dpi=200)
    if kind != "svg":
        return stream.getvalue()
    return shortened(stream.getvalue().decode()).encode()


def shortened(svg: str) -> str:
    """Return the same picture in about two thirds of the bytes: curves as steps in tenths of a point, no indentation."""
    stepped = _LINES.sub(lambda found: f' d="{_steps(found[1])}"', svg)
    rounded = _COORDINATES.sub(lambda found: _DECIMALS.sub(r"\1", found.group()), stepped)
    return re.sub(r">\n +<", ">\n<", _STYLE.sub(lambda found: re.sub(r"([:;]) ", r"\1", found.group()), rounded))


def _steps(path: str) -> str:
    """Return a path of straight lines with each corner as a step from the one before, which is rounded as it is drawn."""
    parts, x, y = [], 0, 0
    for command, *place in _CORNER.findall(path):
        if command == "z":
            parts.append("z")
            continue
        across, up = (round(10 * float(number)) for number in place)
        parts.append(f"M{across / 10:g} {up / 10:g}" if command == "M" else f"l{(across - x) / 10:g} {(up - y) / 10:g}")
        x, y = across, up
    return "".join(parts).replace(" -", "-")


def style(number: int) -> dict[str, Any]:
    """Return how a line is drawn so that it is told from others in grey too: marker, dashes and colour."""
    import matplotlib

    return {
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number // 2 % len(DASHES)],
        "color": matplotlib.colormaps["tab20"](2 * number % 20 + 2 * number // 20 % 2),
    }


def plain(text: str) -> str:
    """Return a text of bearable length in which matplotlib sees no formula, and takes no legend entry for one to hide."""
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    shown = printable(short).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
