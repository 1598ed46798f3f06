"""`nrbench clean`: what a directory of results holds, and what of it no suite needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

import nrbench
from nrbench import jobs, report
from nrbench import suite as suites
from nrbench.base import disk
from nrbench.base.errors import UsageError, shown_json
from nrbench.cli import completion, options
from nrbench.cli.arguments import asked_suite
from nrbench.cli.console import console
from nrbench.families.sheet import shown_bytes
from nrbench.jobs.clean import Held, held_in, holdings


@click.command("clean")
@click.argument("needed", nargs=-1, metavar="[SUITE|DIR…]", shell_complete=completion.suite_names)
@options.results
@options.stored_device
@click.option("--remove", is_flag=True, help="Remove what none of the suites needs.")
@options.as_json
def command(needed: Sequence[str], results: Path, device: str, remove: bool, as_json: bool) -> None:
    """Say what a directory of results holds by size and age and, if asked, remove what no suite needs.

    The suites are those that are given, as they are and as they were run there, or, where none is, all that were run there,
    also those whose leaderboard was kept aside. What a process is at stays. Leaderboards stay in any case.
    """
    registry, root = nrbench.load_registry(), results.absolute() / "store"
    disk.check_no_links(root)
    given = [asked_suite(name, (), device) for name in needed if not Path(name).is_dir()]
    folders = [Path(name) for name in needed if Path(name).is_dir()] + [results / suite.name for suite in given]
    folders = folders if needed else [path for path in sorted(results.glob("*")) if path.is_dir()]
    locks = [lock for folder in folders for lock in (folder / jobs.LOCK, *sorted(folder.glob(f"before-*/{jobs.LOCK}")))]
    kept = [*given, *(suites.locked_suite(lock, registry) for lock in locks if lock.is_file())]
    if remove and not kept:
        raise UsageError(f"no suite was run in {results} and none is given: everything would go")
    unlocked = [
        folder for folder in folders if (folder / "leaderboard.json").exists() and not (folder / jobs.LOCK).exists()
    ]
    if remove and unlocked:
        raise UsageError(
            f"{unlocked[0]} has a leaderboard and no {jobs.LOCK}, so that nobody knows what it needs: name its suite, or "
            "remove the leaderboard"
        )
    found = list(holdings(root, kept))
    unneeded = [holding for holding in found if not holding.needed]
    if as_json:
        summary = {"held": list(map(asdict, held_in(found))), "unneeded": list(map(asdict, held_in(unneeded)))}
        click.echo(shown_json(summary | {"removed": remove}))
    else:
        names = ", ".join(dict.fromkeys(suite.name for suite in kept)) or "no suite"
        headers = ("what", "number", "size", "oldest", "newest")
        report.print_table(console(), f"Held in {root}", headers, list(map(_line, held_in(found))))
        if unneeded:
            report.print_table(console(), f"Needed by none of {names}", headers, list(map(_line, held_in(unneeded))))
        else:
            click.echo(f"All of it is needed by {names}.")
    if remove:
        for holding in unneeded:
            holding.remove()
        click.echo(f"Removed {shown_bytes(sum(holding.bytes for holding in unneeded))}", err=True)
    elif unneeded:
        click.echo("Nothing was removed; --remove removes what is in the second table", err=True)


def _line(held: Held) -> tuple[str, ...]:
    days = (
        "" if time is None else datetime.fromtimestamp(time, UTC).date().isoformat()
        for time in (held.oldest, held.newest)
    )
    return held.kind, f"{held.number}", shown_bytes(held.bytes), *days
