"""`nrbench bench`: what a suite's steps and evaluations cost here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from nrbench import jobs, report
from nrbench.base.errors import shown_json
from nrbench.cli import options
from nrbench.cli.arguments import asked_suite
from nrbench.cli.console import console


@click.command("bench")
@options.suite
@options.settings
@options.stored_device
@options.data_dir
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=12, show_default=True, help="Time for the pairs of each ratio."
)
@options.as_json
def command(suite: str, settings: Sequence[str], device: str, data: Path | None, seconds: float, as_json: bool) -> None:
    """Measure what a suite's training steps and evaluations cost on this machine; nothing is stored."""
    loaded, here = asked_suite(suite, settings, device), jobs.find_device(device)
    found = jobs.benched(loaded, jobs.Options(data=data).data_root, here, seconds=seconds)
    if as_json:
        click.echo(shown_json([cost.model_dump(mode="json") for cost in found]))
        return
    for cost in found:
        headers = ("training step", "ms", f"÷ {cost.baseline}", "passes", "images/s")
        rows = [
            (s.method, f"{s.milliseconds:.1f}", f"{s.relative}", f"{s.passes:.2f}", f"{s.images_per_second:.0f}")
            for s in cost.steps
        ]
        title = f"{cost.backbone} on {cost.dataset}, {cost.precision} on {here}"
        report.print_table(console(), title, headers, rows)
        judged = cost.evaluation
        noisy = "" if judged.noisy is None else f", a noisy pass takes {judged.noisy} of a clean one"
        click.echo(f"judged: {judged.images_per_second:.0f} images/s, {judged.of_peak} of a matrix product{noisy}\n")
    click.echo("÷ is the median of pairs measured one right after the other, ± half of its 95 % interval.")
    if here.type == "cpu":
        click.echo(
            "The time is that of the process, which other work on the machine does not add to; ms and images/s are not."
        )
