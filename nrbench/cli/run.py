"""`nrbench run`: from a suite to its leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from nrbench import cli, jobs, report
from nrbench.base.log import RunLog
from nrbench.cli import completion, options
from nrbench.cli.arguments import asked_executor, asked_watchers, read_suite
from nrbench.cli.console import console
from nrbench.cli.signals import stoppable


@click.command("run")
@options.suite
@options.settings
@options.run_options
@click.option(
    "-x",
    "--executor",
    envvar="NRBENCH_EXECUTOR",
    show_envvar=True,
    shell_complete=completion.executors,
    help="Where jobs run: serial, processes, a plugin's name, or a map such as '{name: processes, jobs: 4}'.",
)
@click.option("-j", "--jobs", "workers", type=click.IntRange(min=1), help="Workers; as many as cores by default.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=1e9),
    help="Seconds a job may take: one training and its cells.",
)
@click.option(
    "--jobs-per-device", type=click.IntRange(min=1), default=1, show_default=True, help="Workers on each GPU."
)
@click.option(
    "--watch",
    "watchers",
    multiple=True,
    help="What follows the run, such as tensorboard: a name, or a map as for --executor. May be repeated.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, and of the leaderboard only who leads; warnings stay.")
@click.option("-v", "--verbose", count=True, help="Say more; show tracebacks.")
@options.as_json
@stoppable()
def command(
    suite: str,
    settings: Sequence[str],
    executor: str | None,
    workers: int | None,
    jobs_per_device: int,
    timeout: float | None,
    watchers: Sequence[str],
    quiet: bool,
    verbose: int,
    as_json: bool,
    **asked: Any,
) -> int:
    """Train and judge what a suite asks for, and write its leaderboard.

    What is stored already is not computed again, so the same command resumes a run that was stopped.
    """
    progress = console(stderr=True)
    cli.log_to(progress, verbosity=0 if quiet else verbose)
    loaded = read_suite(suite, settings, data=jobs.Options(**asked).data_root)
    workers = workers or jobs.gpu_workers(asked["device"], jobs_per_device)
    chosen = jobs.Options(
        executor=asked_executor(executor, jobs=workers, timeout=timeout), watchers=asked_watchers(watchers), **asked
    )
    folder = chosen.out / loaded.name
    watch = cli.Watch(progress, RunLog(folder / jobs.LOG), quiet=quiet)
    with watch.shown():
        page = report.run_to_page(loaded, chosen, planned=watch.planned)
    if as_json:
        sys.stdout.buffer.write(page.board.json_bytes())
    else:
        report.print_page(console(), page, brief=quiet)
        click.echo(f"Written to {folder / 'leaderboard.html'} (.json, .csv, .md and .tex beside it)", err=True)
    allowed = {"ok", "incomplete"} if chosen.only or chosen.exclude else {"ok"}
    return 1 if any(row.status not in allowed for row in page.board.rows) else 0
