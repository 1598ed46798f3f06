"""`nrbench new plugin`: a package of one's own, to begin with."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from jinja2 import Environment, PackageLoader, StrictUndefined

from nrbench.base import disk
from nrbench.base.errors import UsageError

KINDS = {
    "methods": "method",
    "noise": "noise",
    "backbones": "backbone",
    "datasets": "data",
    "schedules": "schedule",
    "sections": "section",
}
"""The families a package can begin with, and what stands for them in the names of components."""
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.group("new", short_help="Make a package of your own.")
def command() -> None:
    """Make a package of your own."""


@command.command("plugin")
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(list(KINDS)),
    default=("methods", "noise"),
    show_default=True,
    help="What it offers; may be repeated.",
)
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="The new directory; NAME by default.")
def plugin(name: str, kinds: Sequence[str], to: Path | None) -> None:
    """Make a whole package: components, tests, a suite, a CI file and a README; it installs and passes as it is.

    NAME is the name of the distribution, in lower-case letters, digits and hyphens, such as my-noise.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a package: lower-case letters, digits and hyphens, a letter first")
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module in ("tests", "test"):
        raise UsageError(f"a package called {module} would stand in the way of Python's own; take another name")
    if find_spec(module) is not None:
        raise UsageError(
            f"a module called {module} is installed already, which the package would hide; take another name"
        )
    folder = to or Path(name)
    if folder.exists():
        raise UsageError(f"{folder} is there already")
    for path, content in written(name, list(dict.fromkeys(kinds))).items():
        disk.write(folder / path, content.encode())
        click.echo(folder / path)
    click.echo(f"cd {folder} && pip install '.[test]' && pytest && nrbench run suite.yaml")


def written(name: str, families: Sequence[str]) -> dict[str, str]:
    """Return the files of a package with one component of each family, by their paths."""
    environment = Environment(
        loader=PackageLoader("nrbench.cli", "templates/plugin"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    module = name.replace("-", "_")
    kinds = [_kind(module, family) for family in families]
    shared: dict[str, Any] = {
        "name": name, "module": module, "kinds": kinds, "families": families, "version": version("nrbench"),
        "leaf": {kind["family"]: kind["leaf"] for kind in kinds},
    }  # fmt: skip
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "suite.yaml": "suite.yaml",
        f"tests/test_{module}.py": "test.py",
        ".github/workflows/tests.yml": "ci.yml",
        f"{module}/__init__.py": "init.py",
    }
    files = {path: environment.get_template(f"{template}.jinja").render(shared) for path, template in places.items()}
    for kind in kinds:
        template = environment.get_template(f"kinds/{kind['family']}.py.jinja")
        files[f"{module}/{kind['file']}.py"] = template.render(shared | kind)
    return files


def _kind(module: str, family: str) -> dict[str, str]:
    leaf = f"{module}_{KINDS[family]}"
    return {"family": family, "leaf": leaf, "file": KINDS[family], "title": "".join(map(str.title, leaf.split("_")))}
