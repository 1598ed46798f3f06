"""The leaderboard cut into the tables that people read, independent of where they are shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from nrbench.board.leaderboard import Leaderboard, Row
from nrbench.board.ranking import Ranking
from nrbench.report.cost import Cost, Place
from nrbench.suite.suite import Benchmark, Suite

Standing = Literal["best", "second", ""]

EXPLANATION = (
    "Accuracy in percent: mean ± noise uncertainty (mean over training seeds of the standard deviation over noise draws) "
    "± weight uncertainty (standard deviation over training seeds of the mean over draws). Without noise there is the "
    "second alone."
)
SCOPE = "Errors of stored weights only: no converters, no output noise, no wire resistance."


@dataclass(frozen=True, slots=True)
class Entry:
    """A method under one noise model: the row it comes from and where it stands in its column."""

    row: Row | None
    standing: Standing = ""

    @property
    def value(self) -> str:
        """The accuracy, or why there is none."""
        if self.row is None:
            return ""
        return self.row.status if self.row.accuracy is None else f"{self.row.accuracy:.2f}"

    def spread(self, *, digits: int = 2) -> str:
        """Return both uncertainties, as far as they exist."""
        if self.row is None or self.row.accuracy is None:
            return ""
        known = [f"±{value:.{digits}f}" for value in (self.row.noise_std, self.row.weight_std) if value is not None]
        return " ".join(known + ([f"({self.row.status})"] if self.row.status != "ok" else []))

    def __str__(self) -> str:
        return f"{self.value} {self.spread()}".rstrip()


@dataclass(frozen=True, slots=True)
class Line:
    """A method in a table."""

    method: str
    entries: tuple[Entry, ...]
    passes: float | None
    relative_time: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """All methods under all noise models of one data set, backbone, selection and treatment of BatchNorm."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    baseline: str


def tables(board: Leaderboard, benchmark: Benchmark, costs: Mapping[Place, Cost]) -> Iterator[Table]:
    """Yield a table for each data set, backbone, selection and treatment of BatchNorm, in the order of the suite.

    A suite that asks for tables of its own has none of these.
    """
    for suite in benchmark.parts:
        if not suite.tables:
            yield from _tables(board, suite, costs)


def _tables(board: Leaderboard, suite: Suite, costs: Mapping[Place, Cost]) -> Iterator[Table]:
    rows = {(row.column, row.method): row for row in board.rows}
    columns = list(suite.columns())
    for dataset, backbone, selection, mode in product(
        suite.datasets, suite.backbones, suite.selections, suite.evaluation.modes
    ):
        here = [
            c
            for c in columns
            if (c.dataset, c.backbone, c.selection, c.batch_norm) == (dataset, backbone, selection, mode)
        ]
        standings = [_standings([rows.get((column, method)) for method in suite.methods]) for column in here]
        lines = []
        for index, method in enumerate(suite.methods):
            entries = tuple(
                Entry(rows.get((column, method)), standing[index])
                for column, standing in zip(here, standings, strict=True)
            )
            passes = next((e.row.passes_per_step for e in entries if e.row and e.row.passes_per_step is not None), None)
            cost = costs.get((method, backbone, dataset))
            lines.append(Line(method, entries, passes, cost.relative if cost else None))
        extra = "" if mode == "frozen" else ", BatchNorm recalibrated"
        title = f"{backbone} on {dataset} ({selection}{extra})"
        yield Table(title, tuple(column.noise for column in here), tuple(lines), suite.baseline)


def _standings(rows: Sequence[Row | None]) -> list[Standing]:
    rounded = [
        round(row.accuracy, 2) if row and row.status == "ok" and row.accuracy is not None else None for row in rows
    ]
    known = sorted({value for value in rounded if value is not None}, reverse=True)
    places: dict[float, Standing] = dict(zip(known, ("best", "second"), strict=False))
    return ["" if value is None else places.get(value, "") for value in rounded]


def ranking_title(ranking: Ranking) -> str:
    """Return what a ranking is about."""
    extra = "" if ranking.batch_norm == "frozen" else ", BatchNorm recalibrated"
    return f"Ranking of {ranking.suite} over {ranking.columns} columns ({ranking.selection}{extra})"


MOST_LETTERS = 8
RANKING_HEADERS = ("method", "group", "mean rank", "95 % interval", "mean accuracy", "interquartile mean")


def ranking_rows(ranking: Ranking) -> Iterator[tuple[str, ...]]:
    """Yield a ranking's rows as text, best first; the group letters say which differences are resolved."""
    for rank in ranking.rows:
        interval = f"{rank.interval[0]:.2f} to {rank.interval[1]:.2f}" if rank.interval else ""
        yield (
            rank.method if rank.complete else f"{rank.method} (incomplete)",
            _shortened(rank.group),
            f"{rank.mean_rank:.2f}",
            interval,
            _number(rank.mean_accuracy),
            _number(rank.interquartile_mean),
        )


def _shortened(group: str) -> str:
    """Return group letters as far as anybody reads them: among many methods there can be dozens of groups."""
    letters = re.findall(r"[a-z]|\(\d+\)", group)
    return group if len(letters) <= MOST_LETTERS else f"{''.join(letters[:6])}… ({len(letters)})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def printable(text: str) -> str:
    """Return a text without control characters, on one line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def failures(board: Leaderboard) -> list[str]:
    """Return a sentence for each reason that rows have no result, with how many rows it concerns."""
    reasons = Counter((row.method, printable(row.reason)) for row in board.rows if row.reason)
    return [f"{method}: {reason} ({count} rows)" for (method, reason), count in reasons.items()]


def provenance(board: Leaderboard) -> str:
    """Return one sentence on what the numbers were computed with."""
    environments = "; ".join(
        f"nrbench {e.nrbench}, torch {e.torch}, NumPy {e.numpy}, {e.device} ({e.capability})"
        for e in board.environments
    )
    return f"Precision {board.precision}. Computed with {environments or 'nothing yet'}."
