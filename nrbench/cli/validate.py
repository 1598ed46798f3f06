"""`nrbench validate`: whether suites are right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

import nrbench
from nrbench import jobs, suite
from nrbench.base.errors import Problem, SuiteError, shown_json
from nrbench.cli import completion, options


@click.command("validate")
@click.argument("suites", nargs=-1, required=True, metavar="SUITE...", shell_complete=completion.suite_names)
@options.settings
@options.data_dir
@click.option("--no-build", is_flag=True, help="Do not build the networks and try them on the images.")
@options.as_json
def command(suites: Sequence[str], settings: Sequence[str], data: Path | None, no_build: bool, as_json: bool) -> int:
    """Check suites without training anything; every mistake is shown with its place.

    Each network is built and run once on two random images of each data set.
    """
    registry = nrbench.load_registry()
    tried = None if no_build else jobs.Options(data=data).data_root
    problems: list[Problem] = []
    for name in suites:
        try:
            loaded = suite.load_suite(suite.find_suite(name), registry, settings=settings, data=tried)
        except SuiteError as error:
            problems += error.problems
        else:
            if not as_json:
                click.echo(f"{name}: valid, {sum(1 for _ in loaded.cells())} cells")
    if as_json:
        click.echo(shown_json([problem.as_json() for problem in problems]))
    elif problems:
        raise SuiteError(problems)
    return SuiteError.exit_code if problems else 0
