"""What a shell is told can come next."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def completed(words: str) -> set[str]:
    """What bash is told for words, the last of which is not whole."""
    own = {"_NRBENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "nrbench"], env=os.environ | own, capture_output=True, text=True, timeout=900
    )
    assert done.stderr == ""
    return {line.partition(",")[2] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("words", "among"),
    [
        ("nrbench ru", {"run"}),
        ("nrbench run qu", {"quickstart", "qu"}),
        ("nrbench plan paper/table-1", {"paper/table-1"}),
        ("nrbench show ga", {"gaussian"}),
        ("nrbench show methods/r", {"methods/ramped", "methods/rwp"}),
        ("nrbench ls me", {"methods"}),
        ("nrbench ls su", {"suites"}),
        ("nrbench run quickstart -x pro", {"processes"}),
        ("nrbench run quickstart --exc", {"--exclude"}),
        ("nrbench report paper-m", {"paper-mini"}),
    ],
)
def test_names_are_completed(words: str, among: set[str]) -> None:
    """Verbs, flags, suites, kinds, components and executors that are installed are offered by their beginning."""
    assert among <= completed(words)


def test_what_begins_otherwise_is_not_offered() -> None:
    """Nothing is offered that does not begin like what was typed, but for files, which the shell knows."""
    assert all(name.startswith("gauss") for name in completed("nrbench show gauss"))
    assert completed("nrbench run zzz") == {"zzz"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    """The line of the documentation prints a script that names the variable it is called with."""
    done = subprocess.run(
        [sys.executable, "-m", "nrbench"],
        env=os.environ | {"_NRBENCH_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert f"_NRBENCH_COMPLETE={shell}_complete" in done.stdout
