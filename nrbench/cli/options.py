"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import click

from nrbench.cli import completion

Command = Callable[..., Any]


def together(*each: Command) -> Command:
    """Return several options as one decorator."""

    def decorate(command: Command) -> Command:
        for option in reversed(each):
            command = option(command)
        return command

    return decorate


suite = click.argument("suite", shell_complete=completion.suite_names)


class Finite(click.FloatRange):
    """A number in a range, and neither infinite nor NaN."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or end with what is wrong with it."""
        number: float = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
settings = click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Lay a value over the suite.")
out = click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("results"), envvar="NRBENCH_OUT", show_envvar=True,
    show_default=True, help="Directory for results.",
)  # fmt: skip
results = click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), envvar="NRBENCH_OUT", show_envvar=True,
    show_default=True, help="Directory of results, as --out was for the run.",
)  # fmt: skip
licence = click.option(
    "--licence",
    default="CC-BY-4.0",
    show_default=True,
    help="What numbers and weights are given under: an SPDX identifier.",
)
weights = click.option("--weights", is_flag=True, help="Put the judged weights into bundles, not their SHA-256 alone.")
data_dir = click.option(
    "--data-dir", "data", type=click.Path(path_type=Path), envvar="NRBENCH_DATA_DIR", show_envvar=True,
    help="Directory of data sets.",
)  # fmt: skip
stored_device = click.option(
    "--device",
    default="auto",
    envvar="NRBENCH_DEVICE",
    show_envvar=True,
    help="The device that `precision: auto` means.",
)
"""Tells, with the suite and its settings, which stored results are meant."""
run_options = together(
    out,
    data_dir,
    click.option(
        "--device", default="auto", envvar="NRBENCH_DEVICE", show_envvar=True, show_default=True,
        help="auto, cpu, cuda, cuda:N.",
    ),
    click.option("--only", multiple=True, metavar="GLOB", help="Take only cells with a label like this."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out cells with a label like this."),
    click.option("--force", is_flag=True, help="Compute again what is stored."),
    click.option("--retry-failed", is_flag=True, help="Try cells again that failed before."),
)  # fmt: skip
"""The fields of `nrbench.Options` but the executor."""
