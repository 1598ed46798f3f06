"""The shape of the source itself: reading order, public names, and what is never used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest

import nrbench
from nrbench import load_registry

ROOT = Path(__file__).parent.parent
ORDER = {
    "base": "errors disk component data_file csv chance torch_state statistics sequential log",
    "families": "hookspecs registry computed displacement sharing loading analog memory_format scale noise optimizer state masks step schedule method backbone dataset "
    "network probe executor watcher selection row claim sheet section",
    "suite": "shipped reference table recipe cell seeds given suite yaml sweeps layers check passes oracle trial facts locked read schema describe",
    "jobs": "results history files device batches data observe train stored evaluate store lock output record select processes job left plan status watching export bench "
    "expected verify clean doctor",
    "board": "leading tables ranking rows series claims growing sheets leaderboard comparison",
    "report": "pictures csv drawing cost asked_tables claim_sheets figures lead sections quantity plots surfaces section_parts asked_figures training details page markdown latex html "
    "terminal write forecast landscape runner components",
    "share": "bundle study submit merge site",
    "cli": "completion console options signals progress arguments run plan status report validate ls show schema judge bench "
    "export landscape compare verify submit merge site clean import_ new doctor main",
    "testing": "samples component noise method optimizer backbone dataset probe schedule selection executor watcher claim section",
}
"""The folders of nrbench, and the files in each, in the order they are to be read."""
READING = [f"{folder}.{file}" for folder, files in ORDER.items() for file in files.split()]
LAST = ("cli", "testing")
"""The folders that stand on all of the others, and may use the public names."""


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def module(path: Path) -> str:
    name = path.relative_to(ROOT / "nrbench").with_suffix("").as_posix().replace("/", ".")
    return name.removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module or name that a file imports, at any depth, as a dotted path: `from a import b` is `a.b`."""
    inside = path.is_relative_to(ROOT / "nrbench")
    return imports_of(path.read_text(), path.parent.relative_to(ROOT).parts if inside else ())


def imports_of(text: str, package: Sequence[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def read_before(name: str, imported: str) -> bool:
    """Whether a file of the core may import this: a file before it, and the public names from the last folders alone."""
    folder = name.partition(".")[0]
    parts = imported.removeprefix("nrbench").removeprefix(".").split(".")
    target = ".".join(parts[:2])
    if target in READING:
        return READING.index(target) < READING.index(name)
    if folder in LAST:  # a package whose names are imported when they are used, or the public names
        return parts[0] not in ORDER or [*ORDER].index(parts[0]) <= [*ORDER].index(folder)
    return False


def test_reading_order_is_dependency_order() -> None:
    """Every file of the core imports, in whatever form and at whatever depth, only files that are to be read before it."""
    files = {module(path): path for path in sources("nrbench") if path.name != "__init__.py"}
    assert set(files) == {*READING, "__main__"}
    for name, path in files.items():
        for imported in imports(path):
            if name != "__main__" and imported.partition(".")[0] == "nrbench":
                assert read_before(name, imported), f"{name} imports {imported}"


@pytest.mark.parametrize(
    ("name", "imported", "allowed"),
    [
        ("jobs.store", "nrbench.base.disk", True),
        ("jobs.store", "nrbench.base.disk.write", True),
        ("jobs.store", "nrbench.jobs.job.Job", False),
        ("jobs.store", "nrbench.board.ranking", False),
        ("jobs.store", "nrbench.Store", False),
        ("jobs.store", "nrbench.board", False),
        ("jobs.store", "nrbench", False),
        ("cli.run", "nrbench.Options", True),
        ("cli.run", "nrbench.jobs", True),
        ("cli.run", "nrbench.testing", False),
        ("cli.run", "nrbench.cli.main", False),
    ],
)
def test_the_order_sees_every_form_of_import(name: str, imported: str, allowed: bool) -> None:
    """A module, a name in it, a package and the public names are each held against the order."""
    assert read_before(name, imported) is allowed


def test_imports_are_seen_in_every_form() -> None:
    """Absolute and relative imports, of modules and of names, in a function as well as at the top."""
    text = "import nrbench.jobs.job\nfrom nrbench.base import disk\ndef f():\n    from . import lock\n    from ..suite.cell import Cell\n"
    assert [*imports_of(text, ["nrbench", "jobs"])] == [
        "nrbench.jobs.job",
        "nrbench.base.disk",
        "nrbench.jobs.lock",
        "nrbench.suite.cell.Cell",
    ]


def test_the_reading_order_is_documented() -> None:
    """docs/architecture.md names every folder and every file."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    for name in READING:
        folder, _, file = name.partition(".")
        assert f"`{folder}/`" in text, folder
        assert f"`{file}`" in text, name


def test_the_core_knows_no_plugin() -> None:
    """With the plugins hidden, all of the core but the checks imports, and offers its neutral components."""
    code = "import nrbench.cli.run, nrbench.cli.main, nrbench.report.runner, nrbench.report.terminal\n"
    plugins = sorted(path.name for path in (ROOT / "plugins").glob("nrbench_*"))
    hide = f"import sys\nfor name in {plugins}: sys.modules[name] = None\n"
    check = "import nrbench; r = nrbench.load_registry(); assert {e.plugin.name for e in r.entries} == {'core'}, r.entries\n"
    subprocess.run([sys.executable, "-c", hide + code + check], check=True, timeout=900)


def test_no_name_of_a_plugin_stands_in_the_core() -> None:
    """Neither the libraries that only plugins use nor the names of their components are written under nrbench/.

    A word that a field of the core's own may have as its value is no component's name.
    """
    names = {
        core: {e.name for e in load_registry().entries if (e.plugin.name == "core") is core} for core in (True, False)
    }
    leaves = names[False] - names[True]
    for path in sources("nrbench"):
        text = path.read_text()
        assert not (found := re.findall(r"\b([Rr]ay|timm|torchvision|nrbench_(?!c)[a-z]+s)\b", text)), (path, found)
        tree = ast.parse(text)
        slices = [n.slice for n in ast.walk(tree) if isinstance(n, ast.Subscript)]
        values = {c.value for each in slices for c in ast.walk(each) if isinstance(c, ast.Constant)}
        # matplotlib's word for text that stays text, and torch's for a loss that is not reduced
        values |= {"none"} if path.name in ("drawing.py", "step.py", "network.py") else set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in values:
                assert node.value not in leaves, (path, node.lineno, node.value)


def test_plugins_import_only_public_names() -> None:
    """Our plugins use what `nrbench` offers by name, and of each other only what a package offers."""
    for path in (path for path in sources("plugins") if "tests" not in path.parts):
        for name in imports(path):
            if name.startswith("nrbench."):
                public = {f"nrbench.{each}" for each in nrbench.__all__}
                assert name in public or name.startswith("nrbench.testing"), f"{path} imports {name}"


def test_public_names_are_what_is_promised() -> None:
    """Every name of the stub resolves to what it says, and no other name is offered."""
    assert nrbench.__all__ == sorted(nrbench.__all__)
    tree = ast.parse((ROOT / "nrbench" / "__init__.pyi").read_text())
    typed = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            typed |= {alias.name: f"nrbench.{node.module}" for alias in node.names}
    assert set(typed) == set(nrbench.__all__)
    for name, home in typed.items():
        assert getattr(nrbench, name) is getattr(import_module(home), name)
    with pytest.raises(AttributeError, match="Nothing"):
        _ = nrbench.Nothing


def test_help_and_version_do_not_import_torch() -> None:
    """The command line answers --help and --version without waiting for torch."""
    code = (
        "import sys, runpy\nsys.argv = ['nrbench', '--help']\n"
        "try: runpy.run_module('nrbench', run_name='__main__')\nexcept SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules), 'too much is imported'\n"
    )
    for flag in ("--help", "--version"):
        subprocess.run([sys.executable, "-c", code.replace("--help", flag)], check=True, timeout=900)


def test_there_is_no_pickle() -> None:
    """Nothing in the source reads or writes pickles: no pickle, no torch.load or torch.save, no allow_pickle=True."""
    for path in sources("nrbench", "plugins", "scripts"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {getattr(node, "module", None), *(alias.name for alias in node.names)}
                assert not names & {"pickle", "cloudpickle", "dill", "shelve", "joblib", "marshal"}, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save")}, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant)
                assert node.value.value is False


def test_every_folder_of_tests_is_run() -> None:
    """pytest without arguments looks into every folder of tests but the benchmarks."""
    paths = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    folders = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/*/test_*.py")}
    assert folders - set(paths) == {"tests/benchmarks"}
