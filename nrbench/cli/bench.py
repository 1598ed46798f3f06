"""`nrbench bench`: what a suite's steps and evaluations cost here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from nrbench import jobs, report
from nrbench.cli import options
from nrbench.cli.arguments import asked_suite
from nrbench.cli.console import console


@click.command("bench")
@click.argument("suite")
@options.settings
@options.stored_device
@options.data_dir
@options.as_json
def command(suite: str, settings: Sequence[str], device: str, data: Path | None, as_json: bool) -> None:
    """Measure what a suite's training steps and evaluations cost on this machine; nothing is stored."""
    loaded, here = asked_suite(suite, settings, device), jobs.find_device(device)
    root = jobs.Options(data=data).data_root
    steps = [cost for part in loaded.parts for cost in jobs.step_costs(part, root, here)]
    evaluations = [cost for part in loaded.parts for cost in jobs.evaluation_costs(part, root, here)]
    if as_json:
        numbers = {"steps": [cost.model_dump() for cost in steps], "evaluations": [e.model_dump() for e in evaluations]}
        click.echo(json.dumps(numbers, indent=2, ensure_ascii=False))
        return
    for evaluation in evaluations:
        where = f"{evaluation.backbone} on {evaluation.dataset}"
        rows = [
            (s.method, f"{s.milliseconds:.1f}", f"{s.relative:.2f}", f"{s.passes:.2f}", f"{s.images_per_second:.0f}")
            for s in steps
            if (s.backbone, s.dataset) == (evaluation.backbone, evaluation.dataset)
        ]
        headers = ("training step", "ms", f"÷ {loaded.parts[0].baseline}", "passes", "images/s")
        precision = loaded.parts[0].recipe.precision
        console().print(report.plain_table(f"{where}, {precision} on {here}", headers, rows))
        noisy = "" if evaluation.noisy is None else f", a noisy pass takes {evaluation.noisy:.2f} of a clean one"
        click.echo(
            f"judged: {evaluation.images_per_second:.0f} images/s, {evaluation.of_peak:.0%} of a matrix product{noisy}\n"
        )
