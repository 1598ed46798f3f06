"""Who leads, and what is not told apart from it: the first sentences of a report, its rankings and their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nrbench.base.errors import printable
from nrbench.board.leaderboard import Leaderboard
from nrbench.board.ranking import Rank, Ranking
from nrbench.board.sheets import treatment
from nrbench.families.row import Column, Row
from nrbench.families.sheet import Entry, Figure, Line, Sheet, heads, shown
from nrbench.report.drawing import drawn, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LETTERED = 10
"""Methods of a ranking that letters are shown for: among more there can be dozens of groups."""
MOST_DRAWN = 24
MOST_NAMED = 6


def sentences(board: Leaderboard) -> Iterator[str]:
    """Yield a sentence for each ranking: who is first over all columns, and what is not told apart from it."""
    for ranking in board.rankings:
        where = f"{ranking.suite}, {ranking.selection}{treatment(ranking.batch_norm)}"
        whole = [rank for rank in ranking.rows if rank.complete]
        if not whole:
            yield f"{where}: no method has all of its results yet."
        elif len(whole) > 1:
            first = whole[0]
            yield (
                f"{where}: {first.method} is first over {_columns(ranking)} (mean rank {first.mean_rank:.2f}, mean "
                f"accuracy {shown(first.mean_accuracy)} %), {_apart([r.method for r in whole[1:] if r.leading], len(whole))}."
            )


def _columns(ranking: Ranking) -> str:
    return f"{ranking.columns} columns" if ranking.columns != 1 else "1 column"


def _apart(tied: Sequence[str], of: int) -> str:
    if not tied:
        return f"and told apart from all {of - 1} others at 5 %" if of > 2 else "and told apart from the other at 5 %"
    if len(tied) == of - 1:
        return "but not told apart from any other at 5 %"
    return f"not told apart at 5 % from {_listed(tied)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def lead_sheet(columns: Sequence[Column], rows: Sequence[Row], title: str) -> Sheet:
    """Return a sheet that says of each column who leads it and what is not told apart from that."""
    lines = []
    for column in columns:
        own = sorted((row for row in rows if row.column == column), key=lambda row: -(row.accuracy or 0.0))
        tied = {row.method for row in own if row.leading}
        first = next((row for row in own if row.method in tied), None)
        behind = next((r for r in own if r.method not in tied and r.accuracy is not None and r.status == "ok"), None)
        if first is None:
            lines.append(Line(column.noise, (Entry("no result", styles=("failed",)), *[Entry()] * 3)))
            continue
        others = [row.method for row in own if row.method in tied and row is not first]
        next_one = "" if behind is None else f"{behind.method}, {(behind.accuracy or 0) - (first.accuracy or 0):+.2f}"
        best = Entry(first.method, styles=("best",))
        lines.append(Line(column.noise, (best, Entry(shown(first.accuracy)), Entry(_listed(others)), Entry(next_one))))
    columns_shown = heads("highest mean", "accuracy", "not told apart from it", "first that is")
    return Sheet(title, "noise", columns_shown, tuple(lines))


def ranking_parts(ranking: Ranking) -> Iterator[Sheet | Figure]:
    """Yield a ranking as a sheet, and as a picture of the methods that cannot be told apart."""
    kind = f"{ranking.selection}{treatment(ranking.batch_norm)}"
    title = f"Ranking of {ranking.suite} over {_columns(ranking)} ({kind})"
    lettered = len(ranking.rows) <= MOST_LETTERED
    lines = [Line(_named(rank), tuple(_entries(rank, ranking.rows[0], lettered=lettered))) for rank in ranking.rows]
    letters = ("group",) if lettered else ()
    columns = heads("mean rank", "95 % interval", "mean accuracy", "IQM", "told from the first", *letters)
    yield Sheet(title, "method", columns, tuple(lines))
    whole = [rank for rank in ranking.rows if rank.complete]
    if 2 < len(whole) <= MOST_DRAWN:
        bars = (
            "a bar joins methods that are not told apart" if lettered else "hollow is what is told apart from the first"
        )
        yield drawn(
            title,
            f"Mean ranks, lower is better; {bars} (paired t test over seeds, Holm at 5 %).",
            partial(_critical_difference, ranks=whole, bars=lettered),
            size=(7.2, 0.9 + 0.3 * len(whole)),
        )


def _named(rank: Rank) -> str:
    return rank.method if rank.complete else f"{rank.method} (incomplete)"


def _entries(rank: Rank, first: Rank, *, lettered: bool) -> Iterator[Entry]:
    texts = (rank.mean_rank, rank.interval, rank.mean_accuracy, rank.interquartile_mean)
    yield from (Entry(shown(text)) for text in texts)
    told = "" if rank is first or not rank.complete else "no" if rank.leading else "yes"
    yield Entry(told)
    if lettered:
        yield Entry(printable(rank.group), styles=("best",) if rank.leading else ())


def _critical_difference(axes: Sequence[Axes], ranks: Sequence[Rank], bars: bool) -> None:
    """Draw mean ranks, a method a line, and a bar for each largest set of methods that are not told apart (Demšar 2006)."""
    (axis,) = axes
    for y, rank in enumerate(ranks):
        low, high = rank.interval or (rank.mean_rank, rank.mean_rank)
        axis.plot([low, high], [y, y], color="#9db4d6", linewidth=4, solid_capstyle="butt")
        face = "#1f4e9c" if rank.leading or bars else "white"
        axis.plot(rank.mean_rank, y, marker="o", color="#1f4e9c", markerfacecolor=face, markersize=6)
    left = min((rank.interval or (rank.mean_rank, 0))[0] for rank in ranks)
    groups = sorted({letter for rank in ranks for letter in rank.group}) if bars else []
    joined = [[y for y, rank in enumerate(ranks) if letter in rank.group] for letter in groups]
    for number, members in enumerate(each for each in joined if len(each) > 1):
        x = left - 0.12 * (number + 1)
        axis.plot([x] * len(members), members, color="#333333", linewidth=1.6, marker="o", markersize=4)
    axis.set_yticks(range(len(ranks)), [plain(rank.method) for rank in ranks])
    axis.set_ylim(len(ranks) - 0.5, -0.5)
    axis.set_xlabel("mean rank, with its 95 % interval over seeds")
    axis.grid(alpha=0.3, axis="x")
