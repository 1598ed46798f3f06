"""`nrbench import`: results from another machine."""

from __future__ import annotations

from pathlib import Path

import click

from nrbench import jobs
from nrbench.base.errors import StoreError, UsageError, shown_json
from nrbench.cli import options


@click.command("import")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@options.out
@options.as_json
def command(directory: Path, out: Path, as_json: bool) -> int:
    """Bring in the results of another machine.

    DIRECTORY is what --out was there.
    """
    if not (directory / "store").is_dir():
        raise UsageError(f"{directory} has no store in it")
    merged = jobs.Store(out / "store").merge(jobs.Store(directory / "store", untouched=True))
    if as_json:
        click.echo(shown_json(merged.model_dump(mode="json")))
    else:
        click.echo(
            f"{merged.new} cells and {merged.trainings} trainings taken over, {merged.same} cells were here already"
        )
    for key in merged.different:
        click.echo(f"nrbench: cell {key} has another result here; it was not taken", err=True)
    return StoreError.exit_code if merged.different else 0
