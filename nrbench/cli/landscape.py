"""`nrbench landscape`: the loss around the weights of judged cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nrbench import jobs, report
from nrbench.base import disk
from nrbench.cli import options
from nrbench.cli.arguments import asked_executor, asked_suite
from nrbench.families.registry import load_registry


@click.command("landscape")
@options.suite
@click.option("--cell", "cells", multiple=True, required=True, help="The key of a cell, or enough of its beginning.")
@click.option(
    "--on", type=click.Choice(["train", "validation", "test"]), default="train", show_default=True, help="The images."
)
@click.option("--images", type=click.IntRange(min=1), default=1000, show_default=True, help="How many of them.")
@click.option(
    "--points", type=click.IntRange(2, 201), default=25, show_default=True, help="Places on a side of the grid."
)
@click.option(
    "--reach", type=options.Finite(1e-6, 1e6), default=1.0, show_default=True,
    help="How far the grid goes, in units of the length of the weights.",
)  # fmt: skip
@click.option("--line", is_flag=True, help="Along one direction instead of in a plane.")
@click.option("--noise", help="The label of a noise model of the suite whose radius is drawn as a circle.")
@options.settings
@options.out
@options.data_dir
@options.stored_device
@click.option("-j", "--jobs", "workers", type=click.IntRange(min=1), help="Workers; as many as cores by default.")
def command(
    suite: str,
    cells: Sequence[str],
    line: bool,
    noise: str | None,
    settings: Sequence[str],
    out: Path,
    data: Path | None,
    device: str,
    workers: int | None,
    **fields: Any,
) -> None:
    """Measure and draw the loss around the weights that cells were judged on.

    The directions have the filters' own lengths and are the same for all cells of a seed; all contours are on one scale.
    What is measured is stored with the epoch, so that the same again costs nothing. The picture and its numbers are
    written to landscapes/ beside the suite's leaderboard.
    """
    loaded = asked_suite(suite, settings, device)
    known = loaded.section("noise")
    if noise is not None and noise not in known:
        raise click.UsageError(f"no noise model of {loaded.name} is labelled {noise!r}; there are {', '.join(known)}")
    chosen = jobs.Options(out=out, data=data, device=device, executor=asked_executor(None, jobs=workers, timeout=None))
    found = report.judged_cells(loaded, cells, chosen)
    asked = {**fields, "dimensions": 1 if line else 2, "noise": None if noise is None else known[noise]}
    figures, _ = report.landscape_of(found, asked, load_registry(), chosen)
    for number, figure in enumerate(figures, start=1):
        stem = out / loaded.name / "landscapes" / f"{'-'.join(cell[:8] for cell in cells)}-{number}"
        disk.write(stem.with_suffix(".svg"), figure.svg)
        disk.write(stem.with_suffix(".csv"), figure.data.encode())
        click.echo(f"Written to {stem}.svg (.csv beside it)")
