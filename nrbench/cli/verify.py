"""`nrbench verify`: whether stored weights still give the stored counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

import nrbench
from nrbench import jobs, suite
from nrbench.base.errors import UsageError, printable, shown_json
from nrbench.cli import options
from nrbench.cli.signals import stoppable

_GATE = 4


@click.command("verify")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--only", multiple=True, metavar="GLOB", help="Take only cells with a label like this.")
@options.data_dir
@click.option("--device", default="auto", envvar="NRBENCH_DEVICE", show_envvar=True, help="auto, cpu, cuda, cuda:N.")
@options.as_json
@stoppable()
def command(directory: Path, device: str, as_json: bool, **asked: Any) -> int:
    """Judge the stored weights of a run again and hold the counts against those that are stored.

    DIR is the directory of a run, such as results/quickstart, with the store beside it; nothing is written. The exit code
    is 4 where a count differs. Other processors or versions than those of the run may round differently.
    """
    folder = directory.resolve()
    if not (folder / jobs.LOCK).is_file():
        raise UsageError(f"{folder} is not the directory of a run: it has no {jobs.LOCK}")
    loaded = suite.locked_suite(folder / jobs.LOCK, nrbench.load_registry())
    chosen = jobs.Options(out=folder.parent, device=device, **asked)
    found = []
    for each in jobs.verified(loaded, chosen, jobs.find_device(device)):
        found.append(each)
        if each.verdict != "same" and not as_json:
            click.echo(printable(f"{each.verdict}: {each.training}, {each.noise}: {each.reason}"))
    if as_json:
        click.echo(shown_json([each.model_dump(mode="json") for each in found]))
    else:
        numbers = Counter(each.verdict for each in found)
        click.echo(
            f"{len(found)} cells: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(numbers.items()))
        )
    return _GATE if any(each.verdict in ("different", "failed") for each in found) else 0
