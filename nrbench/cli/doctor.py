"""`nrbench doctor`: whether an installation can do its work."""

from __future__ import annotations

import click

from nrbench import jobs, report
from nrbench.base.errors import MissingError, shown_json
from nrbench.cli import options
from nrbench.cli.console import console


@click.command("doctor")
@options.as_json
def command(as_json: bool) -> int:
    """Check that this installation can do its work."""
    checks = list(jobs.examined())
    if as_json:
        click.echo(shown_json([check._asdict() for check in checks]))
    else:
        rows = [(check.what, "ok" if check.ok else "FAILED", check.found) for check in checks]
        report.print_table(console(), "nrbench doctor", ("what", "", "found"), rows)
    return 0 if all(check.ok for check in checks) else MissingError.exit_code
