"""`nrbench submit`: a row as a bundle."""

from __future__ import annotations

from pathlib import Path

import click

import nrbench
from nrbench import share
from nrbench.cli import options


@click.command("submit")
@click.argument("row")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="The new directory, or a file that ends in .zip.",
)
@options.results
@options.licence
@options.weights
def command(row: str, out: Path, results: Path, licence: str, weights: bool) -> None:
    """Write a row as a bundle that anybody can verify, and merge into a board of their own.

    ROW is the key of one of its cells, or enough of its beginning; leaderboard.json names them. Where several runs have the
    cell, the run is said before it, as in study/0c936958. In the bundle are the row's
    configuration, counts, environments and versions, the SHA-256 of everything and, with --weights, the weights themselves.
    """
    registry = nrbench.load_registry()
    with share.row_of(row, results, registry) as found:
        share.submit(found, out, registry, licence=licence, weights=weights)
        click.echo(f"{out}: {found.method} under {found.column.noise} on {found.column.backbone}, licence {licence}")
