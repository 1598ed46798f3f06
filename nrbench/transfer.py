"""The commands that bring results in from another machine, and weights out."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nrbench import flags
from nrbench.errors import UsageError


@click.command("import")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@flags.out
@flags.as_json
def import_(directory: Path, out: Path, as_json: bool) -> int:
    """Bring in the results of another machine: DIRECTORY is what --out was there."""
    from nrbench.store import Store

    if not (directory / "store").is_dir():
        raise UsageError(f"{directory} has no store in it")
    merged = Store(out / "store").merge(Store(directory / "store"))
    if as_json:
        click.echo(json.dumps(merged.model_dump(mode="json"), indent=2))
    else:
        click.echo(
            f"{merged.new} cells and {merged.trainings} trainings taken over, {merged.same} cells were here already"
        )
    for key in merged.different:
        click.echo(f"nrbench: cell {key} has another result here; it was not taken", err=True)
    return 5 if merged.different else 0


@click.command()
@click.argument("cell")
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; CELL.safetensors by default."
)
@flags.out
@flags.as_json
def export(cell: str, to: Path | None, out: Path, as_json: bool) -> None:
    """Write the weights that a cell was judged on, those of the epoch chosen for it, in the safetensors format.

    BatchNorm's running statistics are those of the training, also for a cell that is judged with recalibrated ones. CELL is
    the key of a cell, or enough of its beginning; leaderboard.json and leaderboard.csv name the cells of each row.
    """
    from nrbench import disk
    from nrbench.store import Store, exported

    weights = exported(Store(out / "store"), cell)
    target = to or Path(f"{weights.cell}.safetensors")
    disk.write(target, weights.content)
    if as_json:
        numbers = {"file": str(target), "cell": weights.cell, "training": weights.training, "epoch": weights.epoch}
        click.echo(json.dumps(numbers, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{target}: epoch {weights.epoch} of training {weights.training}")
