"""The page: all that a reader is told of a leaderboard, made once and then shown in every format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from nrbench.base.errors import printable
from nrbench.board.leaderboard import Leaderboard
from nrbench.board.ranking import Ranking
from nrbench.families.row import BatchNorm, Row, Shown
from nrbench.report.asked_tables import asked_table
from nrbench.report.claim_sheets import claim_sheets
from nrbench.report.figures import Figure, figures
from nrbench.report.sheet import Entry, Head, Line, Sheet, heads, shown, text_lines, uncertainties
from nrbench.suite.suite import Benchmark, Suite

EXPLANATION = (
    "Accuracy in percent: mean ± noise uncertainty (mean over training seeds of the standard deviation over noise draws) "
    "± weight uncertainty (standard deviation over training seeds of the mean over draws). Without noise there is the "
    "second alone. Best in bold, second best underlined; passes are forward-backward passes per training step; methods that "
    "share a group letter are not resolved (paired t test over seeds, Holm at 5 %)."
)
SCOPE = "Errors of stored weights only: no converters, no output noise, no wire resistance."


@dataclass(frozen=True, slots=True)
class Page:
    """A leaderboard as a reader sees it."""

    board: Leaderboard
    title: str
    description: str
    flags: tuple[str, ...]
    """What a reader should know before trusting a number."""
    facts: tuple[str, ...]
    """Seeds, draws and epochs, and what the numbers were computed with."""
    sheets: tuple[Sheet, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = (EXPLANATION, SCOPE)


def page_of(board: Leaderboard, benchmark: Benchmark) -> Page:
    """Return the page of a leaderboard."""
    tables = [asked_table(table) for table in board.tables]
    claims = list(claim_sheets(board.claims))
    plain = [sheet for part in benchmark.parts if not part.tables for sheet in _method_sheets(board, part)]
    rankings = [_ranking_sheet(ranking) for ranking in board.rankings]
    return Page(
        board=board,
        title=board.suite,
        description=benchmark.description,
        flags=(*board.flags, *_failures(board)),
        facts=tuple(_facts(board, benchmark)),
        sheets=(*tables, *claims, *plain, *rankings, _every_row(board)),
        figures=tuple(figures([*tables, *plain], benchmark.section("noise"))),
    )


def treatment(batch_norm: BatchNorm) -> str:
    """Return what a title says of BatchNorm's statistics, where they are not as trained."""
    return "" if batch_norm == "frozen" else ", BatchNorm recalibrated"


# -- all methods under all noise models -------------------------------------------------------------------------------


def _method_sheets(board: Leaderboard, suite: Suite) -> Iterator[Sheet]:
    """Yield a sheet for each data set, backbone, selection and treatment of BatchNorm, in the order of the suite."""
    rows = {(row.column, row.method): row for row in board.rows}
    for dataset, backbone, selection, mode in product(
        suite.datasets, suite.backbones, suite.selections, suite.evaluation.modes
    ):
        columns = [c for c in suite.own_columns() if c[:4] == (dataset, backbone, selection, mode)]
        grid = [[rows[column, method] for column in columns] for method in suite.methods]
        styles = [_standings(column) for column in zip(*grid, strict=True)]
        lines = []
        for index, (method, own) in enumerate(zip(suite.methods, grid, strict=True)):
            entries = [_accuracy(row, styles[x][index]) for x, row in enumerate(own)]
            passes = next((row.passes_per_step for row in own if row.passes_per_step is not None), None)
            lines.append(Line(method, (*entries, Entry(shown(passes)))))
        noises = tuple(Head(column.noise, noise=column.noise) for column in columns)
        title = f"{backbone} on {dataset} ({selection}{treatment(mode)})"
        yield Sheet(title, "method", (*noises, Head("passes")), tuple(lines))


def _accuracy(row: Row, standing: str) -> Entry:
    failed = row.status != "ok"
    if row.accuracy is None:
        return Entry(row.status, styles=("failed",))
    below = uncertainties(row.noise_std, row.weight_std) + ((f"({row.status})",) if failed else ())
    styles = tuple(style for style in ("failed" if failed else "", standing) if style)
    return Entry(f"{row.accuracy:.2f}", below, styles, accuracy=row.accuracy, spread=row.weight_std)  # type: ignore[arg-type]


def _standings(rows: Sequence[Row]) -> list[str]:
    rounded = [round(row.accuracy, 2) if row.status == "ok" and row.accuracy is not None else None for row in rows]
    known = sorted({value for value in rounded if value is not None}, reverse=True)
    styles = dict(zip(known, ("best", "second"), strict=False))
    return ["" if value is None else styles.get(value, "") for value in rounded]


# -- rankings ---------------------------------------------------------------------------------------------------------

MOST_LETTERS = 8


def _ranking_sheet(ranking: Ranking) -> Sheet:
    rows = [
        (
            rank.method if rank.complete else f"{rank.method} (incomplete)",
            _shortened(rank.group),
            shown(rank.mean_rank),
            shown(rank.interval),
            shown(rank.mean_accuracy),
            shown(rank.interquartile_mean),
        )
        for rank in ranking.rows
    ]
    kind = f"{ranking.selection}{treatment(ranking.batch_norm)}"
    title = f"Ranking of {ranking.suite} over {ranking.columns} columns ({kind})"
    columns = heads("group", "mean rank", "95 % interval", "mean accuracy", "interquartile mean")
    return Sheet(title, "method", columns, text_lines(rows))


def _shortened(group: str) -> str:
    """Return group letters as far as anybody reads them: among many methods there can be dozens of groups."""
    letters = re.findall(r"[a-z]|\(\d+\)", group)
    return group if len(letters) <= MOST_LETTERS else f"{''.join(letters[:6])}… ({len(letters)})"


# -- every row --------------------------------------------------------------------------------------------------------


def _every_row(board: Leaderboard) -> Sheet:
    """Return a sheet of all rows, whose columns are the fields of a row that are `Shown`."""
    fields = {
        name: each for name, info in Row.model_fields.items() for each in info.metadata if isinstance(each, Shown)
    }
    first, *rest = fields.values()
    lines = [
        Line(row.method, tuple(Entry(shown(getattr(row, n), s.digits)) for n, s in fields.items() if n != "method"))
        for row in board.rows
    ]
    note = (
        "A chip is one noisy copy of one trained network; yield is the share of chips within one point of the same weights "
        "without noise; differences to the baseline are paired over seeds and draws, with their 95 % interval."
    )
    columns = heads(*(each.heading for each in rest))
    return Sheet("Every row", first.heading, columns, tuple(lines), (note,), folded=True)


# -- sentences --------------------------------------------------------------------------------------------------------


def _failures(board: Leaderboard) -> list[str]:
    """Return a sentence for each reason that rows have no result, with how many rows it concerns."""
    reasons = Counter((row.method, printable(row.reason)) for row in board.rows if row.reason)
    return [f"{method}: {reason} ({count} rows)" for (method, reason), count in reasons.items()]


def _facts(board: Leaderboard, benchmark: Benchmark) -> Iterator[str]:
    for part in benchmark.parts:
        yield f"{part.name}: {part.seeds} training seeds, {part.draws} noise draws, {part.recipe.epochs} epochs."
    environments = "; ".join(
        f"nrbench {e.nrbench}, torch {e.torch}, NumPy {e.numpy}, {e.device} ({e.capability})"
        for e in board.environments
    )
    yield f"Precision {board.precision}. Computed with {environments or 'nothing yet'}."
