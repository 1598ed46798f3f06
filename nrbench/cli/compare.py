"""`nrbench compare`: what became of the rows that two leaderboards have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from nrbench import report, share
from nrbench.base.errors import shown_json
from nrbench.board.comparison import Change, Comparison, compared
from nrbench.cli import options
from nrbench.cli.console import console
from nrbench.families.sheet import shown

_GATE = 4


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option(
    "--fail-under",
    type=options.Finite(min=0),
    metavar="POINTS",
    help="End with exit code 4 if a row of SECOND has lost more than so many points, or its result.",
)
@options.as_json
def command(first: Path, second: Path, fail_under: float | None, as_json: bool) -> int:
    """Say what became of the rows that two leaderboards have in common.

    FIRST and SECOND are directories of runs, such as results/quickstart, files leaderboard.json, or bundles. Differences are
    paired over seeds.
    """
    found = compared(share.board_of(first), share.board_of(second))
    worse = [] if fail_under is None else found.regressions(fail_under)
    if as_json:
        click.echo(
            shown_json(
                {**found.model_dump(mode="json"), "regressions": [each.model_dump(mode="json") for each in worse]}
            )
        )
        return _GATE if worse else 0
    rows = [(each.method, each.noise, *_where(each, found), *_numbers(each)) for each in found.changes]
    headers = ("method", "noise", *_varying(found), "first", "second", "change", "95 % interval")
    report.print_table(console(), f"{second} against {first}", headers, rows)
    for sentence in _sentences(found):
        click.echo(sentence)
    for each in worse:
        lost = "its result" if each.difference is None else f"{-each.difference:.2f} points"
        click.echo(f"lost: {', '.join((each.method, each.noise, each.backbone, each.dataset))}: {lost}", err=True)
    return _GATE if worse else 0


def _varying(found: Comparison) -> list[str]:
    """Return the labels beside method and noise in which rows differ."""
    names = ("backbone", "dataset", "selection", "batch_norm")
    return [name for name in names if len({getattr(each, name) for each in found.changes}) > 1]


def _where(change: Change, found: Comparison) -> list[str]:
    return [getattr(change, name) for name in _varying(found)]


def _numbers(change: Change) -> tuple[str, ...]:
    difference = "" if change.difference is None else f"{change.difference:+.2f}" + (" *" if change.resolved else "")
    return shown(change.first), shown(change.second), difference, shown(change.interval)


def _sentences(found: Comparison) -> Iterator[str]:
    resolved = sum(each.resolved for each in found.changes)
    yield f"{len(found.changes)} rows in common, {resolved} of them resolved (*: the interval of the difference has no 0)."
    for name, labels in (("first", found.first_alone), ("second", found.second_alone)):
        if labels:
            yield f"{len(labels)} rows in the {name} alone, such as {labels[0]}."
    yield from (f"They differ in {each}." for each in found.differ_in)
