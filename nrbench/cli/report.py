"""`nrbench report`: the leaderboard of what is stored."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

import nrbench
from nrbench import jobs, report
from nrbench import suite as suites
from nrbench.base import disk
from nrbench.base.errors import UsageError
from nrbench.board.growing import grown
from nrbench.cli import completion, options
from nrbench.cli.arguments import asked_suite
from nrbench.cli.console import console


@click.command("report")
@click.argument("suite", metavar="SUITE|DIR", shell_complete=completion.suite_names)
@options.out
@options.settings
@options.stored_device
@options.as_json
def command(suite: str, out: Path, settings: Sequence[str], device: str, as_json: bool) -> int:
    """Write the leaderboard of what is stored, without computing anything.

    DIR is the directory of an earlier run, such as results/quickstart; what it locked is reported.
    """
    folder = Path(suite)
    if folder.is_dir():
        if settings:
            raise UsageError("--set goes with a suite; a directory is reported as it was run")
        folder = folder.resolve()
        if not (folder / jobs.LOCK).is_file() or not (folder.parent / "store").is_dir():
            raise UsageError(f"{suite} is not the directory of a run: it has no {jobs.LOCK}, or no store beside it")
        loaded = suites.locked_suite(folder / jobs.LOCK, nrbench.load_registry())
    else:
        loaded = asked_suite(suite, settings, device)
        folder = out / loaded.name
    store = jobs.Store(folder.parent / "store")
    disk.check_no_links(folder, store.root, folder / "figures")
    loaded = grown(loaded, store)
    report.write_lock(folder, loaded)
    page = report.write_reports(nrbench.Leaderboard.of(loaded, store), loaded, store, folder)
    if as_json:
        sys.stdout.buffer.write(page.board.json_bytes())
    else:
        report.print_page(console(), page)
    return 1 if page.board.failed else 0
