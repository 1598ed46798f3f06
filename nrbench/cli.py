"""The command line. Commands import what they need when they run, so that `--help` never waits for torch."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nrbench import about, flags, transfer
from nrbench.errors import NrbenchError, SuiteError, UsageError
from nrbench.terminal import console

if TYPE_CHECKING:
    from nrbench.registry import Registry


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        code = cli.main(prog_name="nrbench", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.exceptions.Abort as error:  # Ctrl-C outside of a run; click also takes an EOFError for one
        reason = f"{error.__cause__!r}" if isinstance(error.__cause__, EOFError) else "stopped"
        click.echo(f"nrbench: {reason}", err=True)
        code = _CTRL_C
    except NrbenchError as error:
        code = error.exit_code
        if any(re.fullmatch("-v+|--verbose", argument) for argument in sys.argv[1:]):
            traceback.print_exc()
        elif isinstance(error, SuiteError):
            for problem in error.problems:
                click.echo(problem.with_source(), err=True)
        else:
            click.echo(f"nrbench: {error}", err=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code or 0)


_CTRL_C = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="nrbench")
def cli() -> None:
    """Benchmark training methods for neural networks whose weights get corrupted.

    SUITE is a YAML file, or the name of a suite that comes with nrbench, such as quickstart.
    """


@cli.command()
@click.argument("suite")
@flags.out
@flags.suite_options
@click.option(
    "-x",
    "--executor",
    envvar="NRBENCH_EXECUTOR",
    show_envvar=True,
    help="Where jobs run: serial, processes, or a plugin's name.",
)
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Worker processes; as many as cores by default.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds a job may take: one training and its cells."
)
@click.option(
    "--jobs-per-device", type=click.IntRange(min=1), default=1, show_default=True, help="Workers on each GPU."
)
@click.option(
    "--ray-address",
    envvar="NRBENCH_RAY_ADDRESS",
    show_envvar=True,
    help="A Ray cluster to join; without it one is started here.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("-v", "--verbose", count=True, help="Say more; show tracebacks.")
@flags.as_json
def run(
    suite: str,
    out: Path,
    executor: str | None,
    jobs: int | None,
    jobs_per_device: int,
    ray_address: str | None,
    timeout: float | None,
    quiet: bool,
    verbose: int,
    as_json: bool,
    settings: Sequence[str],
    **kwargs: Any,
) -> int:
    """Train and judge what a suite asks for, and write its leaderboard.

    What is stored already is not computed again, so the same command resumes a run that was stopped.
    """
    from nrbench.console import Watch, log_to, print_leaderboard
    from nrbench.reading import load_suite
    from nrbench.registry import load_registry
    from nrbench.report.cost import costs
    from nrbench.runlog import RunLog
    from nrbench.runner import LOG, find_device
    from nrbench.runner import run as run_suite
    from nrbench.signals import stoppable
    from nrbench.suite import find_suite

    progress = console(stderr=True)
    log_to(progress, verbosity=-1 if quiet else verbose)
    registry = load_registry()
    device = find_device(kwargs["device"])
    chosen = _executor(registry, executor, device.type, jobs, jobs_per_device, timeout=timeout, address=ray_address)
    options = _run_options(out, executor=chosen, **kwargs)
    loaded = load_suite(find_suite(suite), registry, settings=settings).for_device(device)
    watch = Watch(progress, loaded, RunLog(out / loaded.name / LOG), quiet=quiet)
    with stoppable():
        with watch.shown():
            board = run_suite(loaded, options=options, planned=watch.planned)
        if as_json:
            sys.stdout.buffer.write(board.json_bytes())
        else:
            print_leaderboard(console(), board, loaded, costs(loaded, options.store))
            click.echo(f"Written to {out / loaded.name / 'leaderboard.html'} (.json, .csv and .md beside it)", err=True)
    partial = bool(options.only or options.exclude)
    return 1 if any(row.status not in ("ok", *(["incomplete"] if partial else ())) for row in board.rows) else 0


@cli.command()
@click.argument("suite")
@flags.out
@flags.suite_options
@click.option("--measure", is_flag=True, help="Time a few real steps on this device, and estimate from them.")
@flags.as_json
def plan(suite: str, out: Path, measure: bool, as_json: bool, settings: Sequence[str], **kwargs: Any) -> None:
    """Say what a run would compute, and what it would cost."""
    from nrbench.console import plain_table
    from nrbench.forecast import forecast
    from nrbench.reading import load_suite
    from nrbench.registry import load_registry
    from nrbench.runner import find_device
    from nrbench.runner import plan as plan_cells
    from nrbench.suite import find_suite

    options = _run_options(out, **kwargs)
    loaded = load_suite(find_suite(suite), load_registry(), settings=settings).for_device(find_device(options.device))
    cells = loaded.cells(only=options.only, exclude=options.exclude)
    work = plan_cells(cells, options.store, force=options.force, retry_failed=options.retry_failed)
    numbers = forecast(loaded, work, options.store, options.data_root)
    if measure:
        from nrbench.bench import expected_seconds

        device = find_device(options.device)
        numbers = numbers.replace(seconds=expected_seconds(loaded, work.jobs, options.data_root, device))
    if as_json:
        click.echo(json.dumps(numbers.model_dump(mode="json"), indent=2))
        return
    rows = [(label, value) for label, value in numbers.described()] + [("--set", setting) for setting in settings]
    console().print(plain_table(f"Plan of {loaded.name}", ("what", "how much"), rows))


@cli.command()
@click.argument("suite", metavar="SUITE|DIR")
@flags.out
@flags.stored_suite_options
@flags.as_json
def report(suite: str, out: Path, settings: Sequence[str], device: str, as_json: bool) -> int:
    """Write the leaderboard of what is stored, without computing anything.

    DIR is the directory of an earlier run, such as results/quickstart; what it locked is reported.
    """
    from nrbench.console import print_leaderboard
    from nrbench.leaderboard import Leaderboard
    from nrbench.reading import load_suite, locked_suite
    from nrbench.registry import load_registry
    from nrbench.report import write_reports
    from nrbench.report.cost import costs
    from nrbench.runner import LOCK, find_device
    from nrbench.store import Store
    from nrbench.suite import find_suite

    registry = load_registry()
    folder = Path(suite)
    if folder.is_dir():
        if settings:
            raise UsageError("--set goes with a suite; a directory is reported as it was run")
        folder = folder.resolve()
        if not (folder / LOCK).is_file() or not (folder.parent / "store").is_dir():
            raise UsageError(f"{suite} is not the directory of a run: it has no {LOCK}, or no store beside it")
        loaded, store = locked_suite(folder / LOCK, registry), Store(folder.parent / "store")
    else:
        loaded = load_suite(find_suite(suite), registry, settings=settings).for_device(find_device(device))
        folder, store = out / loaded.name, Store(out / "store")
    board = Leaderboard.of(loaded, store)
    write_reports(board, loaded, store, folder)
    if as_json:
        sys.stdout.buffer.write(board.json_bytes())
    else:
        print_leaderboard(console(), board, loaded, costs(loaded, store))
    return 1 if board.failed else 0


@cli.command()
@click.argument("suite")
@flags.out
@flags.stored_suite_options
@flags.as_json
def status(suite: str, out: Path, settings: Sequence[str], device: str, as_json: bool) -> None:
    """Say how far a suite is, also while another process runs it."""
    from nrbench.console import plain_table
    from nrbench.reading import load_suite
    from nrbench.registry import load_registry
    from nrbench.runner import LOG, find_device
    from nrbench.status import status as status_of
    from nrbench.store import Store
    from nrbench.suite import find_suite

    loaded = load_suite(find_suite(suite), load_registry(), settings=settings).for_device(find_device(device))
    found = status_of(loaded, Store(out / "store"), out / loaded.name / LOG)
    if as_json:
        click.echo(json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        console().print(plain_table(f"Status of {loaded.name}", ("what", "how much"), list(found.described())))


@cli.command()
@click.argument("suite")
@flags.stored_suite_options
@flags.data_dir
@flags.as_json
def bench(suite: str, settings: Sequence[str], device: str, data_dir: Path | None, as_json: bool) -> None:
    """Measure what a suite's training steps and evaluations cost on this machine; nothing is stored."""
    from nrbench.bench import evaluation_costs, step_costs
    from nrbench.console import plain_table
    from nrbench.reading import load_suite
    from nrbench.registry import load_registry
    from nrbench.runner import Options, find_device
    from nrbench.suite import find_suite

    place = find_device(device)
    loaded = load_suite(find_suite(suite), load_registry(), settings=settings).for_device(place)
    root = Options(data=data_dir).data_root
    steps = [cost for part in loaded.parts for cost in step_costs(part, root, place)]
    evaluations = [cost for part in loaded.parts for cost in evaluation_costs(part, root, place)]
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
        console().print(plain_table(f"{where}, {precision} on {place}", headers, rows))
        noisy = "" if evaluation.noisy is None else f", a noisy pass takes {evaluation.noisy:.2f} of a clean one"
        click.echo(
            f"judged: {evaluation.images_per_second:.0f} images/s, {evaluation.of_peak:.0%} of a matrix product{noisy}\n"
        )


def _executor(
    registry: Registry, name: str | None, device: str, jobs: int | None, jobs_per_device: int, **given: Any
) -> Any:
    """Return the executor that was asked for; without a name, processes where there is room for more than one."""
    from nrbench.executor import Executor

    if jobs is None and device != "cpu":
        import torch

        jobs = torch.cuda.device_count() * jobs_per_device
    asked = {key: value for key, value in (given | {"jobs": jobs}).items() if value is not None}
    if name is None:
        name = "ray" if "address" in asked else "serial" if asked == {"jobs": 1} else "processes"
    component = registry.find(Executor, name)
    if name == "serial" and jobs == 1:
        asked.pop("jobs")
    for key in asked:
        if key not in component.model_fields:
            raise UsageError(f"--{_FLAGS.get(key, key)} means nothing to the executor {name!r}")
    return component.model_validate(asked)


_FLAGS = {"address": "ray-address"}


def _run_options(out: Path, *, data_dir: Path | None, **kwargs: Any) -> Any:
    from nrbench.runner import Options

    return Options(out=out, data=data_dir, **kwargs)


for command in (transfer.import_, transfer.export, about.validate, about.ls, about.show, about.schema, about.doctor):
    cli.add_command(command)
