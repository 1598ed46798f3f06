"""The flags that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


def options(*each: Command) -> Command:
    """Return several options as one decorator."""

    def decorate(command: Command) -> Command:
        for option in reversed(each):
            command = option(command)
        return command

    return decorate


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
out = click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("results"), envvar="NRBENCH_OUT", show_envvar=True,
    show_default=True,
    help="Directory for results.",
)  # fmt: skip
data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="NRBENCH_DATA_DIR",
    show_envvar=True,
    help="Directory of data sets.",
)
suite_options = options(
    click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Lay a value over the suite."),
    click.option("--only", multiple=True, metavar="GLOB", help="Take only cells with a label like this."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out cells with a label like this."),
    click.option(
        "--device",
        default="auto",
        envvar="NRBENCH_DEVICE",
        show_envvar=True,
        show_default=True,
        help="auto, cpu, cuda, cuda:N.",
    ),
    data_dir,
    click.option("--force", is_flag=True, help="Compute again what is stored."),
    click.option("--retry-failed", is_flag=True, help="Try cells again that failed before."),
)

stored_suite_options = options(
    click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Lay a value over the suite."),
    click.option(
        "--device",
        default="auto",
        envvar="NRBENCH_DEVICE",
        show_envvar=True,
        help="The device that `precision: auto` means.",
    ),
)
"""What tells which stored results are meant."""
