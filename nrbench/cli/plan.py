"""`nrbench plan`: what a run would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from nrbench import jobs, report
from nrbench.base.errors import shown_json
from nrbench.cli import options
from nrbench.cli.arguments import asked_suite
from nrbench.cli.console import console


@click.command("plan")
@options.suite
@options.settings
@options.run_options
@click.option("--measure", is_flag=True, help="Time a few real steps on this device, and estimate from them.")
@options.as_json
def command(suite: str, settings: Sequence[str], measure: bool, as_json: bool, **asked: Any) -> None:
    """Say what a run would compute, and what it would cost."""
    chosen = jobs.Options(**asked)
    loaded = asked_suite(suite, settings, chosen.device)
    cells = loaded.cells(only=chosen.only, exclude=chosen.exclude)
    probes = loaded.probes_of()
    work = jobs.plan(cells, chosen.store, probes=probes, force=chosen.force, retry_failed=chosen.retry_failed)
    numbers = report.forecast(loaded, work, chosen.store, chosen.data_root)
    if measure:
        device = jobs.find_device(chosen.device)
        expected = jobs.expected_time(loaded, work, chosen.store, chosen.data_root, device)
        numbers = numbers.replace(**expected._asdict())
    if as_json:
        click.echo(shown_json(numbers.model_dump(mode="json")))
        return
    rows = [*numbers.described(), *(("--set", setting) for setting in settings)]
    report.print_table(console(), f"Plan of {loaded.name}", ("what", "how much"), rows)
