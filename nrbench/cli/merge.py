"""`nrbench merge`: the studies of several people as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

import nrbench
from nrbench import report, share
from nrbench.cli import options
from nrbench.cli.console import console
from nrbench.jobs.store import Store


@click.command("merge")
@click.argument("studies", nargs=-1, required=True, metavar="DIR|BUNDLE…", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="Directory for results of the merged study."
)
@click.option("--name", default="merged", show_default=True, help="Its name.")
@options.as_json
def command(studies: Sequence[Path], out: Path, name: str, as_json: bool) -> int:
    """Bring several studies together on one leaderboard.

    Each is the directory of a run or a bundle. They have to be alike in recipe, seeds, draws, images, versions, and in what a
    label means; what is not alike is refused by name, and nothing is written. Baseline, tables and claims are those of the
    first.
    """
    registry = nrbench.load_registry()
    with ExitStack() as stack:
        opened = [stack.enter_context(share.opened(path, registry)) for path in studies]
        whole = share.merged(opened, out.absolute(), registry, name=name)
    store = Store(out.absolute() / "store")
    page = report.write_reports(nrbench.Leaderboard.of(whole, store), whole, store, out.absolute() / name)
    if as_json:
        click.echo(page.board.json_bytes().decode(), nl=False)
    else:
        report.print_page(console(), page)
        click.echo(f"Written to {out / name / 'leaderboard.html'}", err=True)
    return 1 if page.board.failed else 0
