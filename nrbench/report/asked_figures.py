"""The figures that a suite asks for, and what sections make of its rows under each selection and treatment of BatchNorm."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from nrbench.base.errors import printable
from nrbench.board.leaderboard import Leaderboard
from nrbench.board.series import series_of
from nrbench.board.sheets import treatment
from nrbench.families.claim import Evidence, Series
from nrbench.families.section import Section
from nrbench.families.sheet import Entry, Figure, Head, Line, Sheet
from nrbench.jobs.store import Store
from nrbench.suite.suite import Benchmark, Suite


def asked_figures(board: Leaderboard, benchmark: Benchmark, store: Store) -> Iterator[Sheet | Figure]:
    """Yield the figures under `figures:`, named by their labels; what every selection has alike is shown once."""
    stems: Counter[str] = Counter()
    for part in (part for part in benchmark.parts if part.figures):
        several = list(views(board, part, list(series_of(part, store))))
        for label, plot in part.figures.items():
            kinds: dict[Sheet | Figure, list[str]] = {}
            for kind, evidence in several:
                for each in made(plot, evidence):
                    kinds.setdefault(each, []).append(kind)
            for each, under in kinds.items():
                stem = "figure-" + (re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40] or "of-its-own")
                stems[stem] += 1
                where = "" if len(under) == len(several) else f" ({', '.join(under)})"
                named = replace(each, title=f"{label}. {each.title}{where}")
                number = "" if stems[stem] == 1 else f"-{stems[stem]}"
                yield replace(named, stem=stem + number) if isinstance(named, Figure) else named


def views(board: Leaderboard, suite: Suite, series: Sequence[Series]) -> Iterator[tuple[str, Evidence]]:
    """Yield what a suite has found under each selection and treatment of BatchNorm, and what that is called."""
    own = set(suite.rows)
    for selection, mode in product(suite.selections, suite.evaluation.modes):
        rows = [
            row.model_copy()  # a section may write to it
            for row in board.rows
            if (row.selection, row.batch_norm) == (selection, mode) and (row.column, row.method) in own
        ]
        kind = f"{selection}{treatment(mode)}"
        yield kind, Evidence(rows, suite.methods, suite.noise, series=series, probes=suite.probes, level=board.level)


def made(section: Section, evidence: Evidence) -> Iterable[Sheet | Figure]:
    """Return what a section makes of evidence, and in the place of what it raises a sheet that says so."""
    try:
        return list(section.parts(evidence))
    except Exception as error:  # a plugin's own: the rest of the page stands
        failed = Entry(f"{type(error).__name__}: {printable(str(error))}", styles=("failed",))
        return [Sheet(section.name, "section", (Head("error", wide=True),), (Line(section.name, (failed,)),))]
