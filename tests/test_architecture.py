"""The shape of the source itself: reading order, public names, and what is never used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nrbench

ROOT = Path(__file__).parent.parent
ORDER = tuple(
    """
    errors disk component hookspecs lock runlog joblog chance statistics
    schedule perturbation method backbone dataset selection executor place reference evidence claim
    registry recipe cell pivot suite document layout layering reading results
    batches train evaluate store job
    scope ranking leaderboard report.cost report.table report.pivots report.csv report.markdown report.figure report.html report
    runner schema describe forecast bench status doctor console signals terminal flags about transfer cli __main__ tiny testing
    """.split()  # noqa: SIM905  (lines of words show the parts that belong together)
)
"""The files of nrbench in the order they are to be read."""


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def module(path: Path) -> str:
    name = path.relative_to(ROOT / "nrbench").with_suffix("").as_posix().replace("/", ".")
    return name.removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """The modules a file imports when it is imported."""
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_reading_order_is_dependency_order() -> None:
    """Every file of the core imports only files that come before it in the list, and every file is in the list."""
    files = {
        module(path): path for path in sources("nrbench") if path.name != "__init__.py" or path.parent.name == "report"
    }
    assert set(files) == set(ORDER)
    for position, name in enumerate(ORDER):
        for imported in imports(files[name]):
            if imported.startswith("nrbench."):
                assert imported.removeprefix("nrbench.") in ORDER[:position], f"{name} imports {imported}"


def test_the_reading_order_is_documented() -> None:
    """docs/architecture.md names every file."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    for name in ORDER:
        assert name == "__main__" or f"`{name.partition('.')[0]}" in text, name


def test_the_core_knows_no_plugin() -> None:
    """With the plugins hidden, all of the core but the checks imports, and offers its neutral components."""
    code = "import sys; sys.path_hooks; import nrbench.cli, nrbench.runner, nrbench.console\n"
    for path in sources("nrbench"):
        assert not any(name.startswith("nrbench_") for name in imports(path)), path
    hide = "import sys\nfor name in ('methods', 'noise', 'backbones', 'datasets', 'claims', 'ray'): sys.modules['nrbench_' + name] = None\n"
    check = "r = nrbench.load_registry(); assert {e.plugin.name for e in r.entries} == {'core'}, r.entries\n"
    subprocess.run([sys.executable, "-c", hide + code + check], check=True, timeout=120)


def test_plugins_import_only_public_names() -> None:
    """Our plugins use what `nrbench` offers by name, and of each other only what a package offers."""
    for path in (path for path in sources("plugins") if "tests" not in path.parts):
        for name in imports(path):
            if name.startswith("nrbench."):
                assert name == "nrbench.testing", f"{path} imports {name}"


def test_public_names_are_what_is_promised() -> None:
    """`__all__` is this list, every name resolves, and type checkers see the same names."""
    assert nrbench.__all__ == sorted(nrbench.__all__)
    for name in nrbench.__all__:
        assert getattr(nrbench, name) is not None
    tree = ast.parse((ROOT / "nrbench" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == set(nrbench.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = nrbench.Nothing


def test_help_and_version_do_not_import_torch() -> None:
    """The command line answers --help and --version without waiting for torch."""
    code = (
        "import sys, runpy\nsys.argv = ['nrbench', '--help']\n"
        "try: runpy.run_module('nrbench', run_name='__main__')\nexcept SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules), 'too much is imported'\n"
    )
    for flag in ("--help", "--version"):
        subprocess.run([sys.executable, "-c", code.replace("--help", flag)], check=True, timeout=60)


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
