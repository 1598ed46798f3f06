"""`nrbench schema`: JSON Schemas for editors and scripts."""

from __future__ import annotations

import click

import nrbench
from nrbench import suite
from nrbench.base.errors import UsageError, did_you_mean, shown_json
from nrbench.cli import completion


@click.command("schema")
@click.argument("name", default="suite", shell_complete=completion.component_names)
def command(name: str) -> None:
    """Print the JSON Schema of a suite, of leaderboard.json or of a component.

    NAME is "suite", "leaderboard" or the name of a component, such as gaussian or methods/sgd.
    """
    registry = nrbench.load_registry()
    if name == "suite":
        schema = suite.suite_schema(registry)
    elif name == "leaderboard":
        schema = nrbench.Leaderboard.json_schema()
    else:
        entries = registry.named(name)
        if len(entries) != 1:
            owners = " and ".join(f"{entry.kind}/{entry.name} of {entry.plugin.distribution}" for entry in entries)
            hint = did_you_mean(name, ["suite", "leaderboard", *(entry.name for entry in registry.entries)])
            told = f" is ambiguous: there are {owners}" if owners else f" is unknown; {hint}".rstrip("; ")
            raise UsageError(f"the schema {name!r}{told}")
        schema = suite.component_schema(entries[0].component, registry)
    click.echo(shown_json(schema))
