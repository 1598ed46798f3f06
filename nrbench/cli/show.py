"""`nrbench show`: all that is known of a component."""

from __future__ import annotations

import json

import click

import nrbench
from nrbench import suite
from nrbench.base.errors import UsageError, did_you_mean
from nrbench.cli import options
from nrbench.cli.console import console


@click.command("show")
@click.argument("name")
@options.as_json
def command(name: str, as_json: bool) -> None:
    """Describe a component: what it is, its parameters and their defaults, its source and its plugin.

    NAME is what it is called in a suite, such as gaussian or, of one family alone, methods/sgd.
    """
    registry = nrbench.load_registry()
    entries = registry.named(name)
    if not entries:
        hint = did_you_mean(name, sorted({entry.name for entry in registry.entries}))
        raise UsageError(f"no component is named {name!r}; {hint or 'nrbench ls lists them'}")
    descriptions = [suite.described(entry) for entry in entries]
    if as_json:
        click.echo(json.dumps([each.as_json() for each in descriptions], indent=2, ensure_ascii=False))
        return
    click.echo("\n\n".join(each.as_text(width=console().width) for each in descriptions))
