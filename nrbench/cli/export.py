"""`nrbench export`: weights out of the store."""

from __future__ import annotations

from pathlib import Path

import click

from nrbench import jobs
from nrbench.base import disk
from nrbench.base.errors import shown_json
from nrbench.cli import options


@click.command("export")
@click.argument("cell")
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; CELL.safetensors by default."
)
@options.out
@options.as_json
def command(cell: str, to: Path | None, out: Path, as_json: bool) -> None:
    """Write the weights that a cell was judged on, in the safetensors format.

    They are those of the epoch chosen for it. BatchNorm's running statistics are those of the training, also for a cell that
    is judged with recalibrated ones. CELL is the key of a cell, or enough of its beginning; leaderboard.json and
    leaderboard.csv name the cells of each row.
    """
    weights = jobs.exported(jobs.Store(out / "store"), cell)
    target = to or Path(f"{weights.cell}.safetensors")
    disk.write(target, weights.content)
    if as_json:
        numbers = {"file": str(target), "cell": weights.cell, "training": weights.training, "epoch": weights.epoch}
        click.echo(shown_json(numbers))
    else:
        click.echo(f"{target}: epoch {weights.epoch} of training {weights.training}")
