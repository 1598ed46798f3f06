"""`nrbench judge`: from a file of weights to a row of a leaderboard, without a suite."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

import nrbench
from nrbench import jobs, report, suite
from nrbench.base import disk
from nrbench.base.errors import MissingError, Problem, SuiteError, UsageError
from nrbench.cli import options
from nrbench.cli.arguments import asked_executor
from nrbench.cli.console import console
from nrbench.cli.signals import stoppable

if TYPE_CHECKING:
    from nrbench.families.noise import NoiseModel
    from nrbench.families.registry import Registry


@click.command("judge")
@click.argument("weights", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--backbone", required=True, metavar="MAP", help="The network, as in a suite: '{name: resnet, depth: 8}'."
)
@click.option("--dataset", required=True, metavar="MAP", help="The images, likewise: '{name: npz, file: mine.npz}'.")
@click.option(
    "--noise",
    multiple=True,
    required=True,
    metavar="MAP",
    help="What the weights meet, likewise: '{name: gaussian, sigma: {sweep: [0.05, 0.1]}}'; may be repeated.",
)
@click.option("--with", "also", default="{}", metavar="MAP", help="More of the method: '{mean: [0.5], std: [0.5]}'.")
@click.option("--draws", type=click.IntRange(1, 100_000), default=10, show_default=True, help="Noisy copies.")
@options.out
@options.data_dir
@click.option("--device", default="auto", envvar="NRBENCH_DEVICE", show_envvar=True, help="auto, cpu, cuda, cuda:N.")
@stoppable()
def command(
    weights: Sequence[Path],
    backbone: str,
    dataset: str,
    noise: Sequence[str],
    also: str,
    draws: int,
    out: Path,
    data: Path | None,
    device: str,
) -> int:
    """Judge weights that were trained anywhere, and print the suite that this amounts to.

    WEIGHTS are files in the safetensors format, one for each training seed. The suite is beside the leaderboard, to be
    changed and run.
    """
    registry, name = nrbench.load_registry(), f"judge-{_slug(weights[0].stem)}"
    written = suite_text(
        name,
        weights=[str(path.resolve()) for path in weights],
        backbone=_parsed(backbone, "--backbone"),
        dataset=_parsed(dataset, "--dataset"),
        noise=[_parsed(each, "--noise") for each in noise],
        also=_parsed(also, "--with"),
        draws=draws,
        method=_only(registry, "methods", lambda each: not each.trains),
        clean=_only(registry, "noise", _is_clean),
    )
    if not written.replace("\n", "").isprintable():
        raise UsageError("a name of a file or an option has characters that cannot be printed, which no suite holds")
    path = out / name / "suite.yaml"
    disk.check_no_links(out / name)
    disk.write(path, written.encode())
    click.echo(written)
    chosen = jobs.Options(out=out, data=data, device=device, executor=asked_executor("serial"))
    loaded = suite.load_suite(path, registry, data=chosen.data_root)
    page = report.run_to_page(loaded, chosen)
    report.print_page(console(), page)
    click.echo(f"Written to {path.parent / 'leaderboard.html'} (.json, .csv, .md and the suite beside it)", err=True)
    return 1 if page.board.failed else 0


def _slug(stem: str) -> str:
    """Return what of the name of a file can be the name of a suite."""
    return re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-")[:50] or "weights"


def _only(registry: Registry, kind: str, fits: Callable[[Any], bool]) -> str:
    """Return the name of the component of a kind that does what is needed here."""
    for entry in registry.of_kind(kind):
        if fits(entry.component):
            return entry.name
    raise MissingError(f"none of the {kind} that are installed can do this")


def _is_clean(noise: Callable[[], NoiseModel]) -> bool:
    try:
        return noise().clean
    except ValidationError:  # it has parameters that it cannot do without
        return False


def suite_text(
    name: str,
    *,
    weights: Sequence[str],
    backbone: dict[str, Any],
    dataset: dict[str, Any],
    noise: Sequence[dict[str, Any]],
    also: dict[str, Any],
    draws: int,
    method: str,
    clean: str,
) -> str:
    """Return the suite, as YAML, that judges files of weights."""
    labels: dict[str, dict[str, Any]] = {}
    for each in noise:
        label = f"{each['name']}{_swept(each)}"
        labels[f"{label} #{len(labels) + 1}" if label in labels else label] = each
    document = {
        "name": name,
        "seeds": len(weights),
        "draws": draws,
        "datasets": {dataset["name"]: dataset},
        "backbones": {backbone["name"]: backbone},
        "selections": {"last": {"name": "last"}},
        "methods": {"given": {"name": method, "files": list(weights), **also}},
        "noise": {"clean": {"name": clean}, **labels},
    }
    lines = []
    for key, value in document.items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {_yaml(label)}: {_yaml(each)}" for label, each in value.items())]
        else:
            lines.append(f"{key}: {_yaml(value)}")
    return "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    """Return plain data on one line; JSON is YAML."""
    return json.dumps(value, ensure_ascii=False)


def _swept(component: dict[str, Any]) -> str:
    """Return what a label needs to tell the values of its sweeps apart."""
    return "".join(f" {{{key}}}" for key, value in component.items() if isinstance(value, dict) and "sweep" in value)


def _parsed(text: str, flag: str) -> dict[str, Any]:
    """Return what a flag says as a map; a word alone is the name of a component. Raise `SuiteError` for anything else."""
    node = suite.parse(text, f"{flag} {text}")
    plain = {"name": node.value} if isinstance(node.value, str) else node.plain()
    if not isinstance(plain, dict) or (flag != "--with" and "name" not in plain):
        raise SuiteError([Problem(node.mark, "", "expected a name, or a map with a name")])
    return {key: _from_anywhere(value) for key, value in plain.items()}


def _from_anywhere(value: Any) -> Any:
    """Return paths of files that are there as they are from anywhere: the suite is written into another directory."""
    if isinstance(value, dict):
        return {key: _from_anywhere(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_from_anywhere(each) for each in value]
    return str(Path(value).resolve()) if isinstance(value, str) and "." in value and Path(value).is_file() else value
