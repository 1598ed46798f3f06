"""The figures that a suite asks for, and what sections make of its rows under each selection and treatment of BatchNorm."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from nrbench.board.leaderboard import Leaderboard
from nrbench.board.series import series_of
from nrbench.board.sheets import treatment
from nrbench.families.claim import Evidence, Series
from nrbench.families.sheet import Figure, Sheet
from nrbench.jobs.store import Store
from nrbench.report.section_parts import made
from nrbench.suite.suite import Benchmark, Collection


def asked_figures(board: Leaderboard, benchmark: Benchmark, store: Store) -> Iterator[Sheet | Figure]:
    """Yield the figures under `figures:`, named by their labels; what every selection has alike is shown once."""
    stems: Counter[str] = Counter()
    whole = [benchmark] if isinstance(benchmark, Collection) else []
    for each in (each for each in (*benchmark.parts, *whole) if each.figures):
        several = list(views(board, each, store))
        for label, plot in each.figures.items():
            kinds: dict[Sheet | Figure, list[str]] = {}
            for kind, evidence in several:
                for drawn in made(plot, evidence):
                    kinds.setdefault(drawn, []).append(kind)
            for drawn, under in kinds.items():
                stem = "figure-" + (re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40] or "of-its-own")
                stems[stem] += 1
                where = "" if len(under) == len(several) else f" ({', '.join(under)})"
                named = replace(drawn, title=f"{label}. {drawn.title}{where}")
                number = "" if stems[stem] == 1 else f"-{stems[stem]}"
                yield replace(named, stem=stem + number) if isinstance(named, Figure) else named


def views(board: Leaderboard, benchmark: Benchmark, store: Store) -> Iterator[tuple[str, Evidence]]:
    """Yield what a suite or collection has found under each selection and treatment of BatchNorm, and what that is called."""
    own = {position for part in benchmark.parts for position in part.rows}
    mine = [row for row in board.rows if (row.column, row.method) in own]
    methods, noise, probes = (benchmark.section(section) for section in ("methods", "noise", "probes"))
    series: dict[tuple[str, ...], Series] = {}
    for each in (each for part in benchmark.parts for each in series_of(part, store)):
        series.setdefault((each.probe, each.number, each.method, each.backbone, each.dataset), each)
    for selection, mode in dict.fromkeys((row.selection, row.batch_norm) for row in mine):
        rows = [
            row.model_copy() for row in mine if (row.selection, row.batch_norm) == (selection, mode)
        ]  # to be written to
        found = Evidence(rows, methods, noise, series=list(series.values()), probes=probes, level=board.level)
        yield f"{selection}{treatment(mode)}", found
