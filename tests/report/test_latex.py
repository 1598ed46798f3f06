"""The tables as LaTeX: labels are text, and the document compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nrbench
from nrbench import Leaderboard, Options, Suite
from nrbench.families.sheet import Entry, Line, Sheet, heads
from nrbench.report.latex import escape, latex_text
from nrbench.report.page import Chapter, page_of
from tests.payloads import ALL, PAYLOADS
from tests.report.test_report import relabel

OWN = [
    "a_b & 100 % #1 ~ ^ {}",
    "中文 σ ρ ∞ é",
    "%x",
    "\\x",
]
"""Labels with what LaTeX obeys, or has no letters for."""
ALLOWED = re.compile(
    r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|textquotedbl|textbar|dots)\{\}"
    r"|\\[{}$&#%_]|\$\\?[a-zA-Z|]+\$|\$-\$|\\texttt\{U\+[0-9A-F]+\}|\\textsuperscript\{[23]\}"
)


@given(st.text())
def test_any_text_is_set_as_text(text: str) -> None:
    """Beside the few commands that stand for single letters there is no character left that LaTeX obeys."""
    left = ALLOWED.sub("", escape(text))
    assert not set(left) & set("\\{}$&#%_^~")


@pytest.fixture
def run(tiny: Suite, tmp_path: Path) -> tuple[Suite, Path]:
    nrbench.run(tiny, options=Options(out=tmp_path))
    return tiny, tmp_path


@pytest.mark.parametrize("payload", [*PAYLOADS, *OWN])
def test_labels_are_text_in_latex(run: tuple[Suite, Path], payload: str) -> None:
    """A document with hostile labels is the one with harmless ones, letter for letter, but for the labels."""
    suite, out = run
    store = Options(out=out).store
    texts = []
    for label in (payload, "harmless"):
        named = relabel(suite, label)
        texts.append(latex_text(page_of(Leaderboard.of(named, store), named, store)))
    assert texts[0].replace(escape(payload), "harmless") == texts[1].replace(escape("harmless"), "harmless")


def test_a_wide_table_is_split_and_small_print_stands_under(run: tuple[Suite, Path]) -> None:
    """Of 20 columns each is set once, in tables of no more than a page's width; a chosen method stands in a line of its own."""
    suite, out = run
    store = Options(out=out).store
    page = page_of(Leaderboard.of(suite, store), suite, store)
    entries = tuple(Entry(f"{number}.25", ("±1.00 ±2.00", "RWP")) for number in range(20))
    wide = Sheet("Wide", "method", heads(*(f"c{number}" for number in range(20))), (Line("best", entries),))
    tables = latex_text(replace(page, chapters=(Chapter("Accuracy", (wide,)),))).split("% -- table")[1:]
    assert len(tables) == 3
    assert all("continued" in table for table in tables[1:])
    assert sum(table.count("25 {") for table in tables) == 20
    for table in tables:
        rows = [line for line in table.split("\n") if line.endswith(r" \\")]
        assert rows[-1].count(r"{\scriptsize RWP}") == rows[-2].count(r"$\pm$1.00 $\pm$2.00")
        assert "RWP" not in rows[-2]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_the_document_compiles(run: tuple[Suite, Path], tmp_path: Path) -> None:
    """pdflatex makes a document of it without an error, whatever the labels are."""
    suite, out = run
    store = Options(out=out).store
    named = relabel(suite, "".join([*ALL, *OWN]))
    (tmp_path / "board.tex").write_text(latex_text(page_of(Leaderboard.of(named, store), named, store)))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "board.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=900)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "board.pdf").stat().st_size > 10_000
