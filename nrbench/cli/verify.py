"""`nrbench verify`: whether stored weights still give the stored counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

import nrbench
from nrbench import jobs, share
from nrbench.base.errors import UsageError, printable, shown_json
from nrbench.cli import options
from nrbench.cli.arguments import asked_executor
from nrbench.cli.signals import stoppable
from nrbench.suite.cell import Cell

_MISSING, _GATE = 3, 4


@click.command("verify")
@click.argument("target", metavar="DIR|BUNDLE|ROW")
@click.option("--only", multiple=True, metavar="GLOB", help="Take only cells with a label like this.")
@click.option("--retrain", is_flag=True, help="Train anew, and judge that.")
@click.option("-j", "--jobs", "workers", type=click.IntRange(min=1), help="Workers, to train anew.")
@options.results
@options.data_dir
@click.option("--device", default="auto", envvar="NRBENCH_DEVICE", show_envvar=True, help="auto, cpu, cuda, cuda:N.")
@options.as_json
@stoppable()
def command(
    target: str,
    only: Sequence[str],
    retrain: bool,
    workers: int | None,
    results: Path,
    data: Path | None,
    device: str,
    as_json: bool,
) -> int:
    """Judge stored weights again and hold the counts against those that are stored.

    DIR is the directory of a run, such as results/quickstart, BUNDLE what `nrbench submit` wrote, and ROW the key of one of
    a row's cells, or enough of its beginning. Nothing is written. The exit code is 4 where a count differs and 3 where there
    is nothing to judge. Other processors or versions than those of the run may round differently.
    """
    root, executor = jobs.Options(data=data).data_root, asked_executor(None, jobs=workers) if retrain else None
    found = []
    with ExitStack() as stack:
        study, cells = _asked(stack, target, only, results, root)
        on = jobs.find_device(device)
        for each in jobs.verified(study.benchmark, cells, study.store, data=root, device=on, retrain=executor):
            found.append(each)
            if each.verdict != "same" and not as_json:
                click.echo(printable(f"{each.verdict}: {each.training}, {each.noise}: {each.reason}"))
    numbers = Counter(each.verdict for each in found)
    if as_json:
        click.echo(shown_json([each.model_dump(mode="json") for each in found]))
    else:
        click.echo(
            f"{len(found)} cells: {', '.join(f'{count} {verdict}' for verdict, count in sorted(numbers.items()))}"
        )
    if numbers["different"] or numbers["failed"]:
        return _GATE
    missing = [each for each in found if each.verdict == "lost" or (each.verdict == "no result" and not each.reason)]
    return _MISSING if missing else 0


def _asked(
    stack: ExitStack, target: str, only: Sequence[str], results: Path, root: Path
) -> tuple[share.Study, Sequence[Cell]]:
    """Return what was run and which of its cells are meant, open for as long as the stack."""
    registry = nrbench.load_registry()
    if Path(target).exists():
        study = stack.enter_context(share.opened(Path(target), registry, data=root))
        study.check_versions(registry)
        cells: Sequence[Cell] = list(study.benchmark.cells(only=only))
    else:
        if only:
            raise UsageError("--only goes with a run or a bundle; a row has one label of each kind")
        row = stack.enter_context(share.row_of(target, results, registry))
        study, cells = row.study, row.part.rows[row.column, row.method]
    if not cells:
        raise UsageError("no cell has labels like these: " + ", ".join(study.benchmark.labels()))
    return study, cells
