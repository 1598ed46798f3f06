"""Reports: a leaderboard as JSON, CSV, Markdown and HTML files."""

from __future__ import annotations

from pathlib import Path

from nrbench.base import disk
from nrbench.base.component import canonical_json
from nrbench.base.errors import escaped
from nrbench.board.leaderboard import Leaderboard
from nrbench.jobs.plan import FAILURES
from nrbench.jobs.store import Store
from nrbench.report.cost import costs
from nrbench.report.csv import csv_text, probes_csv_text, wide_csv_text
from nrbench.report.details import failures_text
from nrbench.report.html import html_page
from nrbench.report.latex import latex_text
from nrbench.report.markdown import markdown_text
from nrbench.report.page import Page, page_of
from nrbench.suite.suite import Benchmark


def write_reports(board: Leaderboard, suite: Benchmark, store: Store, folder: Path) -> Page:
    """Write every report of a leaderboard into a folder and return the page that they are made of.

    `cost.json` holds what depends on the machine: times. `figures/` has the pictures, `probes.csv` what probes measured.
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
    measured = [cost.model_dump(mode="json") for cost in costs(suite, store)]
    contents["cost.json"] = escaped(canonical_json({"schema": 1, "rows": measured})).encode() + b"\n"
    if failures := failures_text(board, store):
        contents[FAILURES] = failures.encode(errors="backslashreplace")
    else:
        disk.remove(folder / FAILURES)
    pictures = {folder / "figures" / f"{number}.svg": figure.svg for number, figure in enumerate(page.figures, start=1)}
    for path in set((folder / "figures").glob("*.svg")) - pictures.keys():  # of an earlier run with more tables
        disk.remove(path)
    for path, content in (pictures | {folder / name: content for name, content in contents.items()}).items():
        if disk.read(path) != content:
            disk.write(path, content)
    return page
