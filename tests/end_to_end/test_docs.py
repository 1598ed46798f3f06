"""The pages of docs/ do what they say: files are written and commands run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from nrbench.base.component import families
from nrbench.families import hookspecs

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    "tutorial",
    "your-own",
    "cookbook",
    "write-a-noise-model",
    "write-a-method",
    "write-a-backbone",
    "write-a-data-set",
    "write-a-selection",
    "write-a-schedule",
    "write-an-executor",
    "write-a-claim",
    "write-a-section",
    "write-a-probe",
    "figures",
]
INSTALL = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]


def run(command: str, folder: Path) -> str:
    """Run a command of a page where its files are; what it installs goes beside them."""
    site = folder / "site"
    # a reader has none of the variables of a run of the tests
    own = {name: value for name, value in os.environ.items() if not name.startswith(("NRBENCH_", "PYTEST_"))}
    environment = own | {"PYTHONPATH": str(site), "PYTHONWARNINGS": "default", "COLUMNS": "80"}
    if command == "pip install .":
        arguments = [*INSTALL, "--target", str(site), "."]
    else:
        program, *rest = shlex.split(command)
        module = [] if program == "python" else ["-m", program]
        arguments = [sys.executable, *module, *rest]
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    """Every file of a page is written, every command on it succeeds, and output that is shown is what comes out."""
    commands = 0
    for kind, name, content in BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text()):
        if name:
            (tmp_path / name).write_text(content)
        elif kind == "console":
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", content, re.MULTILINE):
                out = run(command, tmp_path)
                assert shown.strip() in out, f"$ {command}"
                commands += 1
    assert commands >= 4


def test_python_on_the_pages_is_typed(tmp_path: Path) -> None:
    """A type checker finds nothing in the files of the pages: what nrbench offers is typed as it is used there."""
    pytest.importorskip("mypy", reason="the type checker is a tool of developers")
    names = []
    for page in PAGES:
        for kind, name, text in BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text()):
            if kind == "python" and name:
                assert not (tmp_path / name).exists(), name
                (tmp_path / name).write_text(text)
                names.append(name)
    untyped = "[mypy-torch.*,torchvision.*,ray.*,scipy.*]\nfollow_imports = skip\nignore_missing_imports = True\n"
    (tmp_path / "mypy.ini").write_text(f"[mypy]\ncheck_untyped_defs = True\nplugins = pydantic.mypy\n{untyped}")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout
    assert len(names) > 15


def test_every_hook_has_a_heading_and_every_family_a_row() -> None:
    """docs/hooks.md describes each hook with the sentence of its specification, and names each family."""
    text = (ROOT / "docs" / "hooks.md").read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("nrbench_")]
    for name in hooks:
        assert f"## {name}\n\n{' '.join((getattr(hookspecs, name).__doc__ or '').split())}" in text.replace(" \n", " ")
    for kind, family in families().items():
        assert f"| {kind} | `nrbench.{family.__name__}` |" in text


def test_every_flag_and_variable_is_documented() -> None:
    """docs/command-line.md names every verb, every flag but the obvious, every variable and every exit code."""
    from nrbench.base import errors
    from nrbench.cli.main import COMMANDS, cli

    text = (ROOT / "docs" / "command-line.md").read_text()
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert f"`{name}" in text
        for parameter in command.params:
            for flag in (option for option in parameter.opts if option.startswith("--")):
                assert flag in text or flag in ("--quiet", "--verbose"), flag
            assert getattr(parameter, "envvar", None) is None or f"`{parameter.envvar}`" in text
    codes = {getattr(error, "exit_code", 0) for error in vars(errors).values() if isinstance(error, type)}
    assert all(f"| {code} |" in text for code in codes)


def test_links_lead_somewhere() -> None:
    """Every relative link in the Markdown files is a file that exists."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("suites/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("script", ["make_field_reference.py", "make_methods_table.py"])
def test_what_is_made_from_the_code_is_up_to_date(script: str) -> None:
    """suites/README.md is what the models say today, docs/methods.md what the methods are."""
    made = ROOT / "scripts" / script
    done = subprocess.run([sys.executable, made, "--check"], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout


def test_the_readme_has_two_commands() -> None:
    """One command installs and runs the quickstart, one installs the tests and runs them."""
    (block, other) = re.findall(r"^```sh\n(.*?)\n```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block == "pip install . && nrbench run quickstart"
    assert other == "pip install '.[test]' && pytest"


def test_the_example_package_as_a_stranger_would(tmp_path: Path) -> None:
    """Installed from its directory it is listed, passes its own tests, and serves in a suite and in training."""
    site, source = tmp_path / "site", ROOT / "plugins" / "nrbench-example"
    subprocess.run([*INSTALL, "--target", site, source], check=True, timeout=900, cwd=tmp_path)
    (tmp_path / "suite.yaml").write_text((source / "suite.yaml").read_text())
    (tmp_path / "test_it.py").write_text((source / "tests" / "test_nrbench_example.py").read_text())
    assert re.search(r"log_normal +example", run("nrbench ls noise", tmp_path))
    assert re.search(r"^\d+ passed", run("pytest -q test_it.py", tmp_path), re.MULTILINE)
    assert "Antithetic" in run("nrbench run suite.yaml --set seeds=1 --set recipe.epochs=1", tmp_path)
    lines = [line for line in (source / "nrbench_example.py").read_text().splitlines() if line.strip()]
    assert len(lines) < 50


def test_the_table_of_networks_is_that_of_its_results() -> None:
    """The page of networks says what was measured, nothing in it is wrong, and 95 of 100 families are right."""
    script = [sys.executable, str(ROOT / "scripts" / "make_backbones_table.py"), "--check"]
    assert subprocess.run(script, timeout=900, check=False).returncode == 0
    results = json.loads((ROOT / "docs" / "results" / "backbones.json").read_text())
    right = [r for r in results.values() if r.get("trains") and r.get("unchanged") and r.get("difference", 1) <= 1e-5]
    assert len(right) + sum("refused" in r for r in results.values()) == len(results)
    assert len(right) >= 0.95 * len(results)


def test_a_new_package_installs_and_passes_as_it_is(tmp_path: Path) -> None:
    """What `nrbench new plugin` makes is installed, passes its own tests, which run its suite, and is listed."""
    kinds = ("methods", "noise", "backbones", "datasets", "schedules", "sections")
    run("nrbench new plugin my-things " + " ".join(f"--kind {kind}" for kind in kinds), tmp_path)
    source, site = tmp_path / "my-things", tmp_path / "site"
    subprocess.run([*INSTALL, "--target", site, source], check=True, timeout=900, cwd=tmp_path)
    assert re.search(r"^\d+ passed", run("pytest -q -p no:cacheprovider my-things/tests", tmp_path), re.MULTILINE)
    for kind in kinds:
        assert "my_things_" in run(f"nrbench ls {kind}", tmp_path)


def test_names_that_are_no_packages(tmp_path: Path) -> None:
    """A name with anything in it that is no part of one is refused, and so is a directory that is there already."""
    for name in ("My", "a b", "../x", "1a", "a--b", "a_"):
        done = subprocess.run(
            [sys.executable, "-m", "nrbench", "new", "plugin", name], cwd=tmp_path, capture_output=True, timeout=900
        )
        assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "here").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "nrbench", "new", "plugin", "here"], cwd=tmp_path, capture_output=True, timeout=900
    )
    assert (done.returncode, list((tmp_path / "here").iterdir())) == (2, [])
