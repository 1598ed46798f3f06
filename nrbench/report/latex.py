"""The tables of a leaderboard as LaTeX, with booktabs: a document that compiles, whose tables can be taken out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from unicodedata import normalize

from nrbench.base.errors import printable
from nrbench.families.sheet import Entry, Head, Line, Sheet
from nrbench.report.page import Page

LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ"
NAMES = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon varphi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
GREEK = dict(zip(LETTERS, NAMES.split(" "), strict=True))
SYMBOLS = {
    "±": "pm", "×": "times", "÷": "div", "≤": "le", "≥": "ge", "∞": "infty", "→": "to", "‖": "|", "·": "cdot", "−": "-",
    "↗": "nearrow", "√": "surd", "∇": "nabla", "≈": "approx",
}  # fmt: skip
ESCAPED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    '"': r"\textquotedbl{}", "|": r"\textbar{}", "–": "--", "—": "---", "…": r"\dots{}",
    "²": r"\textsuperscript{2}", "³": r"\textsuperscript{3}",
}  # fmt: skip

ROOM, BETWEEN = 150.0, 2.0
"""Letters of 9 pt, of 1.8 mm on average, that fit beside each other onto a page, and what is between two columns."""


def latex_text(page: Page) -> str:
    """Return a document with the tables of accuracies and rankings of a page; each begins and ends with a comment."""
    sheets = [sheet for sheet in page.main if not any(head.wide for head in sheet.heads)]
    lines = [
        r"% Tables of nrbench; to take one into a paper, copy it and load booktabs.",
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}",
        r"\usepackage{booktabs,graphicx}",
        r"\usepackage[a4paper,landscape,margin=1.5cm]{geometry}",
        r"\begin{document}",
        rf"\section*{{{escape(page.title)}}}",
        *(escape(sentence) + r"\par" for sentence in (*page.lead, *page.flags)),
        *(line for sheet in sheets for part in _fitting(sheet) for line in _table(part)),
        " ".join(map(escape, page.notes)) + r"\par",
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return text that LaTeX sets as it is; what its standard fonts do not have is named by its number."""
    return "".join(map(_letter, normalize("NFC", printable(text))))


def _letter(letter: str) -> str:
    if letter in ESCAPED:
        return ESCAPED[letter]
    name = GREEK.get(letter) or SYMBOLS.get(letter)
    if name is not None:
        return f"$\\{name}$" if name != "-" else "$-$"
    if ord(letter) < 128 or "À" <= letter <= "ÿ":
        return letter
    return rf"\texttt{{U+{ord(letter):04X}}}"


def _fitting(sheet: Sheet) -> Iterator[Sheet]:
    """Yield a sheet in parts that are not made smaller to fit onto a page."""
    labels = max((len(_label(line)) for line in sheet.lines), default=0)
    widths = [
        BETWEEN + max((len(head.label), *(_width(line.entries[at]) for line in sheet.lines)))
        for at, head in enumerate(sheet.heads)
    ]
    yield from sheet.fitting(widths, ROOM - labels)


def _width(entry: Entry) -> float:
    """Return about how wide an entry is, in letters of a table: small print has 0.8 of their size (7 of 9 pt)."""
    beside, *under = (0.8 * len(text) for text in (entry.below or ("",)))
    return max((len(entry.text) + beside, *under))


def _table(sheet: Sheet) -> Iterator[str]:
    yield "% -- table"
    yield r"\begin{table}[htbp]\centering\small"
    yield rf"\caption{{{escape(sheet.title)}}}"
    yield r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    yield rf"\begin{{tabular}}{{l{'r' * len(sheet.heads)}}}\toprule"
    if any(head.group for head in sheet.heads):
        yield from _groups(sheet.heads)
    yield " & ".join([escape(sheet.first), *(escape(head.label) for head in sheet.heads)]) + r" \\ \midrule"
    yield from (row for line in sheet.lines for row in _rows(line))
    yield r"\bottomrule\end{tabular}}\end{table}"
    yield "% -- end"


def _groups(heads: Sequence[Head]) -> Iterator[str]:
    cells, rules, start = [""], [], 2
    for group, run in groupby(heads, key=lambda head: head.group):
        width = len(list(run))
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    yield " & ".join(cells) + r" \\ " + "".join(rules)


def _rows(line: Line) -> Iterator[str]:
    """Yield a line and, where an entry has more than uncertainties to it, what stands under it."""
    yield " & ".join([escape(_label(line)), *map(_cell, line.entries)]) + r" \\"
    for under in zip_longest(*(entry.below[1:] for entry in line.entries)):
        yield " & ".join(["", *(rf"{{\scriptsize {escape(text)}}}" if text else "" for text in under)]) + r" \\"


def _label(line: Line) -> str:
    return f"{line.group}, {line.label}" if line.group else line.label


def _cell(entry: Entry) -> str:
    text = escape(entry.text)
    if "best" in entry.styles:
        text = rf"\textbf{{{text}}}"
    if "second" in entry.styles:
        text = rf"\underline{{{text}}}"
    below = " ".join(escape(each) for each in entry.below[:1])
    return re.sub(" +", " ", f"{text} {{\\scriptsize {below}}}") if below else text
