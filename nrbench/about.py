"""The commands that tell about suites, components and the installation, and compute nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from nrbench import flags
from nrbench.errors import Problem, SuiteError, UsageError, did_you_mean
from nrbench.terminal import console

KINDS = ("methods", "noise", "backbones", "datasets", "schedules", "selections", "executors", "claims", "plugins")


@click.command()
@click.argument("suites", nargs=-1, required=True, metavar="SUITE...")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Lay a value over the suite.")
@flags.as_json
def validate(suites: Sequence[str], settings: Sequence[str], as_json: bool) -> int:
    """Check suites without running anything; every mistake is shown with its place."""
    from nrbench.reading import load_suite
    from nrbench.registry import load_registry
    from nrbench.suite import find_suite

    registry = load_registry()
    problems: list[Problem] = []
    for name in suites:
        try:
            loaded = load_suite(find_suite(name), registry, settings=settings)
        except SuiteError as error:
            problems += error.problems
        else:
            if not as_json:
                click.echo(f"{name}: valid, {sum(1 for _ in loaded.cells())} cells")
    if as_json:
        rows = [
            {"file": p.mark.file, "line": p.mark.line, "column": p.mark.column, "path": p.path, "message": p.message,
             "hint": p.hint or None}
            for p in problems
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif problems:
        raise SuiteError(problems)
    return SuiteError.exit_code if problems else 0


@click.command()
@click.argument("kind", required=False, type=click.Choice(KINDS))
@flags.as_json
def ls(kind: str | None, as_json: bool) -> None:
    """List the components that are installed, of one kind or of all, or the plugins they come from."""
    from nrbench.console import plain_table
    from nrbench.describe import listed
    from nrbench.registry import load_registry

    registry = load_registry()
    broken = any(plugin.error for plugin in registry.plugins)
    kinds = [kind] if kind else [each for each in KINDS if each != "plugins" or broken]
    rows = [row for each in kinds for row in listed(each, registry)]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
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
        console().print(plain_table(each, ("name", "plugin", "what it is"), shown))


@click.command()
@click.argument("name")
@flags.as_json
def show(name: str, as_json: bool) -> None:
    """Describe a component: what it is, its parameters and their defaults, its source and its plugin."""
    from nrbench.describe import described
    from nrbench.registry import load_registry

    registry = load_registry()
    entries = registry.named(name)
    if not entries:
        hint = did_you_mean(name, sorted({entry.name for entry in registry.entries}))
        raise UsageError(f"no component is named {name!r}; {hint or 'nrbench ls lists them'}")
    if as_json:
        click.echo(json.dumps([described(entry).as_json() for entry in entries], indent=2, ensure_ascii=False))
        return
    click.echo("\n\n".join(described(entry).as_text(width=console().width) for entry in entries))


@click.command()
@click.argument("name", default="suite")
def schema(name: str) -> None:
    """Print the JSON Schema of a suite, of leaderboard.json ("leaderboard") or of a component by its name."""
    from nrbench.registry import load_registry
    from nrbench.schema import component_schema, leaderboard_schema, suite_schema

    registry = load_registry()
    if name == "suite":
        found = suite_schema(registry)
    elif name == "leaderboard":
        found = leaderboard_schema()
    else:
        entries = registry.named(name)
        if len(entries) != 1:
            owners = " and ".join(f"{entry.plugin.distribution} ({entry.kind})" for entry in entries)
            hint = did_you_mean(name, ["suite", "leaderboard", *(entry.name for entry in registry.entries)])
            told = f" is ambiguous: {owners} offer one" if owners else f" is unknown; {hint}".rstrip("; ")
            raise UsageError(f"the schema {name!r}{told}")
        found = component_schema(entries[0].component, registry)
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


@click.command()
@flags.as_json
def doctor(as_json: bool) -> int:
    """Check that this installation can do its work."""
    from nrbench.console import plain_table
    from nrbench.doctor import examined

    checks = list(examined())
    if as_json:
        click.echo(json.dumps([check.__dict__ for check in checks], indent=2, ensure_ascii=False))
    else:
        rows = [(check.what, "ok" if check.ok else "FAILED", check.found) for check in checks]
        console().print(plain_table("nrbench doctor", ("what", "", "found"), rows))
    return 0 if all(check.ok for check in checks) else 3
