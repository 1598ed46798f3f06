"""`nrbench status`: how far a suite is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from nrbench import jobs, report
from nrbench.base.errors import shown_json
from nrbench.board.growing import grown
from nrbench.cli import options
from nrbench.cli.arguments import asked_suite
from nrbench.cli.console import console


@click.command("status")
@options.suite
@options.out
@options.settings
@options.stored_device
@options.as_json
def command(suite: str, out: Path, settings: Sequence[str], device: str, as_json: bool) -> None:
    """Say how far a suite is, also while another process runs it."""
    loaded = asked_suite(suite, settings, device)
    store = jobs.Store(out / "store", untouched=True)
    found = jobs.status(grown(loaded, store), store, out / loaded.name / jobs.LOG)
    if as_json:
        click.echo(shown_json(found.model_dump(mode="json")))
    else:
        rows = list(found.described())
        report.print_table(console(), f"Status of {loaded.name}", ("what", "how much"), rows)
