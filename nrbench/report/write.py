"""Reports: a leaderboard as JSON, CSV, Markdown and HTML files."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from nrbench.base import disk
from nrbench.base.component import canonical_json
from nrbench.base.errors import escaped
from nrbench.board.leaderboard import Leaderboard
from nrbench.jobs.plan import FAILURES
from nrbench.jobs.store import Store
from nrbench.report.csv import csv_text, probes_csv_text, wide_csv_text
from nrbench.report.details import failures_text
from nrbench.report.html import html_page
from nrbench.report.latex import latex_text
from nrbench.report.markdown import markdown_text
from nrbench.report.page import Page, page_of
from nrbench.suite.suite import Benchmark

FILES = ("svg", "csv", "png", "pdf")
"""What a figure may be written as."""


def write_reports(board: Leaderboard, suite: Benchmark, store: Store, folder: Path) -> Page:
    """Write every report of a leaderboard into a folder and return the page that they are made of.

    `cost.json` holds what depends on the machine: times. `figures/` has the pictures and the numbers in them, `probes.csv`
    what probes measured.
    """
    page = page_of(board, suite, store)
    contents = {
        "leaderboard.csv": csv_text(board).encode(),
        "leaderboard-wide.csv": wide_csv_text(board).encode(),
        "leaderboard.json": board.json_bytes(),
        "leaderboard.md": markdown_text(page).encode(),
        "leaderboard.tex": latex_text(page).encode(),
    }
    contents["leaderboard.html"] = html_page(page, contents).encode()
    if probed := probes_csv_text(suite, store):
        contents["probes.csv"] = probed.encode()
    else:
        disk.remove(folder / "probes.csv")
    measured = [cost.model_dump(mode="json") for cost in page.costs]
    contents["cost.json"] = escaped(canonical_json({"schema": 1, "rows": measured})).encode() + b"\n"
    if failures := failures_text(board, store):
        contents[FAILURES] = failures.encode(errors="backslashreplace")
    else:
        disk.remove(folder / FAILURES)
    kinds = {kind for part in suite.parts for kind in part.report.formats}
    pictures = {folder / "figures" / name: content for name, content in _files(page, kinds)}
    for path in {path for kind in FILES for path in (folder / "figures").glob(f"*.{kind}")} - pictures.keys():
        disk.remove(path)  # of an earlier run with more tables
    for path, content in (pictures | {folder / name: content for name, content in contents.items()}).items():
        if disk.read(path) != content:
            disk.write(path, content)
    return page


def _files(page: Page, kinds: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of every figure: itself, the numbers in it, and itself in the formats that are asked for beside."""
    for stem, figure in page.figures.items():
        yield f"{stem}.svg", figure.svg
        if figure.data:
            yield f"{stem}.csv", figure.data.encode()
        for kind in sorted(kinds):
            if figure.draw is not None:
                yield f"{stem}.{kind}", figure.draw(kind)
