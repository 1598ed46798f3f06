"""Claims, as sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nrbench.base.errors import printable
from nrbench.board.claims import ClaimRow
from nrbench.families.claim import Checked, Verdict
from nrbench.families.sheet import Entry, Head, Line, Sheet, heads, shown
from nrbench.report.asked_tables import LEFT_OUT

EXPLANATION = (
    "A reading counts the cells of a claim in which the point estimates agree. A verdict is at 95 %: paired differences over "
    "seeds (for printed numbers Welch's test on their uncertainties), Holm over the claim's cells; a claim about something "
    "missing is undecided. The effect is the mean over its cells, in percentage points, above zero where the claim is right. "
    "The best of a group is taken as given, which favours the larger group; out of seed is the mean effect with the best "
    "chosen, for every seed, on the other seeds, where that differs."
)


def claim_sheets(claims: Sequence[ClaimRow]) -> Iterator[Sheet]:
    """Yield a sheet for each suite, selection and treatment of BatchNorm that claims were checked under."""
    for suite, selection, mode in dict.fromkeys((row.suite, row.selection, row.batch_norm) for row in claims):
        rows = [row for row in claims if (row.suite, row.selection, row.batch_norm) == (suite, selection, mode)]
        extra = "" if mode == "frozen" else ", BatchNorm recalibrated"
        printed = any(row.reference for row in rows)
        columns = (
            "reading",
            "verdict",
            "mean effect",
            "95 % interval",
            *(("printed: reading", "verdict") if printed else ()),
        )
        yield Sheet(
            title=f"Claims of {suite} ({selection}{extra})",
            first="claim",
            heads=(Head("sentence", wide=True), *heads(*columns)),
            lines=tuple(_line(row, printed=printed) for row in rows),
            notes=(EXPLANATION,),
        )


def _line(row: ClaimRow, *, printed: bool) -> Line:
    measured = row.measured
    below = (
        *([f"({row.source})"] if row.source else []),
        *([f"Undecided: {measured.reason}"] if measured.reason else []),
    )
    sentence = Entry(printable(row.text), tuple(map(printable, below)), details=tuple(map(_cell, measured.cells)))
    effect = "" if measured.effect is None else f"{measured.effect:+.2f}"
    left_out = () if measured.unprejudiced is None else (f"{measured.unprejudiced:+.2f} {LEFT_OUT}",)
    entries = [sentence, *_reading(measured), Entry(effect, left_out), Entry(shown(measured.interval))]
    if printed:
        entries += _reading(row.reference) if row.reference else [Entry(), Entry()]
    return Line(row.claim, tuple(entries))


def _reading(verdict: Verdict) -> list[Entry]:
    return [Entry(verdict.reading), Entry(verdict.verdict, tuple(_by(verdict)), (verdict.verdict,))]


def _by(verdict: Verdict) -> Iterator[str]:
    """Yield by which of its cells a verdict came about; a mean effect may point the other way."""
    resolved = [cell.effect for cell in verdict.cells if cell.resolved and cell.effect is not None]
    if verdict.cells:
        sides = {"for": sum(effect > 0 for effect in resolved), "against": sum(effect < 0 for effect in resolved)}
        told = ", ".join(f"{count} {side} it" for side, count in sides.items() if count)
        yield f"resolved: {told or 'nothing'}, of {len(verdict.cells)} cells"


def _cell(cell: Checked) -> str:
    parts = [f"{printable(cell.cell)}: {cell.agrees}"]
    parts += [] if cell.effect is None else [f"{cell.effect:+.2f}"]
    parts += [] if cell.interval is None else [f"({shown(cell.interval)})"]
    return ", ".join(parts) + (", resolved" if cell.resolved else "")
