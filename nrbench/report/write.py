"""Reports: a leaderboard as JSON, CSV, Markdown and HTML files."""

from __future__ import annotations

from pathlib import Path

from nrbench.base import disk
from nrbench.base.component import canonical_json
from nrbench.board.leaderboard import Leaderboard
from nrbench.jobs.store import Store
from nrbench.report.cost import costs
from nrbench.report.csv import csv_text
from nrbench.report.figures import figures
from nrbench.report.html import html_page
from nrbench.report.markdown import markdown_text
from nrbench.report.table import tables
from nrbench.suite.suite import Benchmark


def write_reports(board: Leaderboard, suite: Benchmark, store: Store, folder: Path) -> dict[str, Path]:
    """Write every report of a leaderboard into a folder and return the files by format.

    `cost.json` holds what depends on the machine: times. `figures/` has pictures, where matplotlib is installed.
    """
    spent = costs(suite, store)
    drawn = list(figures(board, suite, list(tables(board, suite, spent))))
    contents = {
        "json": board.json_bytes(),
        "csv": csv_text(board).encode(),
        "md": markdown_text(board, suite, spent).encode(),
        "html": html_page(board, suite, spent, drawn).encode(),
    }
    pictures = {folder / "figures" / f"{number}.svg": figure.svg for number, figure in enumerate(drawn, start=1)}
    for path, picture in pictures.items():
        disk.write(path, picture)
    for path in set((folder / "figures").glob("*.svg")) - pictures.keys():  # of an earlier run with more tables
        disk.remove(path)
    files = {kind: folder / f"leaderboard.{kind}" for kind in contents}
    for kind, content in contents.items():
        disk.write(files[kind], content)
    rows = [cost.model_dump(mode="json") for cost in spent.values()]
    disk.write(folder / "cost.json", canonical_json({"schema": 1, "rows": rows}).encode() + b"\n")
    return files
