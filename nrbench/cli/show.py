"""`nrbench show`: all that is known of a component."""

from __future__ import annotations

from pathlib import Path

import click

import nrbench
from nrbench import jobs, suite
from nrbench.base.component import families
from nrbench.base.errors import UsageError, did_you_mean, shown_json
from nrbench.cli import completion, options
from nrbench.cli.console import console


@click.command("show")
@click.argument("name", shell_complete=completion.component_names)
@options.data_dir
@options.as_json
def command(name: str, data: Path | None, as_json: bool) -> None:
    """Describe a component: what it is, its parameters and their defaults, its source and its plugin.

    NAME is what it is called in a suite, such as gaussian or, of one family alone, methods/sgd. A map, as in a suite, is
    made: of a backbone such as '{name: resnet, depth: 8}' it says how much lies on the device, of a data set what it holds.
    """
    registry = nrbench.load_registry()
    node = suite.written_component(name, "show") if name.lstrip().startswith("{") else None
    name = str(node.plain()["name"]) if node else name
    entries = registry.named(name)
    if not entries:
        hint = did_you_mean(name, sorted({entry.name for entry in registry.entries}))
        raise UsageError(f"no component is named {name!r}; {hint or 'nrbench ls lists them'}")
    descriptions = [suite.described(entry) for entry in entries]
    if as_json:
        click.echo(shown_json([each.as_json() for each in descriptions]))
        return
    click.echo("\n\n".join(each.as_text(width=console().width) for each in descriptions))
    if node is not None:
        made = suite.read_component(families()[entries[0].kind], node, registry)
        click.echo("\n" + "\n".join(suite.facts(made, jobs.Options(data=data).data_root)))
