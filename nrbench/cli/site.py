"""`nrbench site`: boards under a static index."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

import nrbench
from nrbench import share
from nrbench.cli import options


@click.command("site")
@click.argument("studies", nargs=-1, required=True, metavar="DIR|BUNDLE…", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="Directory of the site, such as public/."
)
@options.licence
@options.weights
def command(studies: Sequence[Path], out: Path, licence: str, weights: bool) -> None:
    """Write a static site: an index of several boards, the newest first, with each row's bundle beside it.

    Each is the directory of a run or a bundle. The files can be put on any host; no page asks the network for anything else.
    """
    registry = nrbench.load_registry()
    with ExitStack() as stack:
        opened = [stack.enter_context(share.opened(path, registry)) for path in studies]
        boards = share.write_site(opened, out.absolute(), registry, licence=licence, weights=weights)
    for board in boards:
        bundles = sum(bool(row.bundle) for row in board.rows)
        click.echo(f"{out / board.folder}: {len(board.rows)} rows, {bundles} bundles")
    click.echo(f"Open {out / 'index.html'}")
