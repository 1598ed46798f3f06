"""`nrbench ls`: the components that are installed."""

from __future__ import annotations

import click

import nrbench
from nrbench import report, suite
from nrbench.base.errors import UsageError, did_you_mean, shown_json
from nrbench.cli import completion, options
from nrbench.cli.console import console


@click.command("ls")
@click.argument("kind", required=False, shell_complete=completion.kinds)
@options.as_json
def command(kind: str | None, as_json: bool) -> None:
    """List the components that are installed, the plugins they come from, or the suites that come with nrbench.

    KIND is methods, noise, backbones or another family, plugins or suites; without it all families are listed.
    """
    registry = nrbench.load_registry()
    known = [*registry.families, "suites", "plugins"]
    if kind is not None and kind not in known:
        raise UsageError(f"there is no kind {kind!r}; {did_you_mean(kind, known) or 'there are ' + ', '.join(known)}")
    broken = any(plugin.error for plugin in registry.plugins)
    kinds = [kind] if kind else [*registry.families, *(["plugins"] if broken else [])]
    rows = [row for each in kinds for row in suite.listed(each, registry)]
    if as_json:
        click.echo(shown_json(rows))
        return
    for each in kinds:
        shown = [
            (
                row["name"],
                row["distribution"] if each == "plugins" else row["plugin"],
                f"FAILED: {row['error']}" if row["error"] else row["summary"],
            )
            for row in rows
            if row["kind"] == each
        ]
        report.print_table(console(), each, ("name", "plugin", "what it is"), shown)
