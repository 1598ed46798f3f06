"""The tables that a suite asks for, and its claims, as text for any output."""

from __future__ import annotations

from collections.abc import Iterator

from nrbench.board.scope import ClaimRow
from nrbench.board.tables import PivotCell, PivotTable
from nrbench.families.claim import Verdict

ABOVE = "↗"
"""Marks a cell beyond the staircase."""


def pivot_title(table: PivotTable) -> str:
    """Return what a table is about and how its epochs were chosen."""
    extra = "" if table.batch_norm == "frozen" else ", BatchNorm recalibrated"
    return f"{table.title} ({table.selection}{extra})"


def pivot_notes(table: PivotTable) -> Iterator[str]:
    """Yield what a reader of a table has to know."""
    if table.note:
        yield table.note
    cells = [cell for line in table.lines for cell in line.cells if cell is not None]
    if any(cell.above for cell in cells):
        yield f"Cells beyond the staircase are marked {ABOVE}."
    if table.chosen_on:
        tried = sorted({cell.tried for cell in cells if cell.tried > 1})
        where = "validation, together with the epoch" if table.chosen_on == "validation" else "test, as in the paper"
        yield f"The best of each group of {' or '.join(map(str, tried))} methods is chosen on {where}."
    if table.uneven:
        yield "More was tried for some groups than for others."
    if any(cell.reference for cell in cells):
        yield "Below each number the printed one, and the difference in units of the combined uncertainty over seeds."


def accuracy_text(cell: PivotCell | None) -> str:
    """Return a cell's accuracy, or why there is none; nothing where the suite asks for nothing."""
    if cell is None:
        return ""
    number = cell.status if cell.accuracy is None else f"{cell.accuracy:.2f}"
    return f"{number} {ABOVE}" if cell.above else number


def spread_text(cell: PivotCell | None, *, digits: int = 2) -> str:
    """Return both uncertainties, as far as they exist."""
    if cell is None or cell.accuracy is None:
        return ""
    known = [f"±{value:.{digits}f}" for value in (cell.noise_std, cell.weight_std) if value is not None]
    return " ".join(known + ([f"({cell.status})"] if cell.status != "ok" else []))


def printed_text(cell: PivotCell | None, *, digits: int = 2) -> str:
    """Return the number that was printed and how far off it is."""
    if cell is None or cell.reference is None:
        return ""
    beside = cell.reference
    spreads = (value for value in (beside.noise_std, beside.weight_std) if value is not None)
    text = " ".join([f"{beside.accuracy:.2f}", *(f"±{value:.{digits}f}" for value in spreads)])
    return text if beside.difference is None else f"{text} ({beside.difference:+.1f} u)"


def chosen_text(cell: PivotCell | None) -> str:
    """Return the method that was chosen of a group; nothing where there was nothing to choose."""
    return cell.method or "" if cell is not None and cell.tried > 1 else ""


def claim_headers(claims: tuple[ClaimRow, ...]) -> tuple[str, ...]:
    """Return what stands above the texts of `claim_texts`; of printed numbers only where there are some."""
    own = ("claim", "reading", "verdict", "effect", "95 % interval")
    return (*own, "printed: reading", "verdict") if any(row.reference for row in claims) else own


def claim_texts(row: ClaimRow) -> tuple[str, ...]:
    """Return a claim as texts, in the order of `claim_headers`."""
    printed = () if row.reference is None else (row.reference.reading, row.reference.verdict)
    return (row.claim, row.measured.reading, row.measured.verdict, *effect_texts(row.measured), *printed)


def effect_texts(verdict: Verdict) -> tuple[str, str]:
    """Return a verdict's effect and its interval."""
    if verdict.effect is None:
        return "", ""
    low_high = verdict.interval
    return f"{verdict.effect:+.2f}", "" if low_high is None else f"{low_high[0]:.2f} to {low_high[1]:.2f}"


def claim_groups(claims: tuple[ClaimRow, ...]) -> dict[str, tuple[ClaimRow, ...]]:
    """Return claims by what they were checked under, with a title for each group."""
    groups: dict[str, list[ClaimRow]] = {}
    for row in claims:
        extra = "" if row.batch_norm == "frozen" else ", BatchNorm recalibrated"
        groups.setdefault(f"Claims of {row.suite} ({row.selection}{extra})", []).append(row)
    return {title: tuple(rows) for title, rows in groups.items()}


CLAIM_EXPLANATION = (
    "A reading counts the cells of a claim in which the point estimates agree. A verdict is at 95 %: paired differences over "
    "seeds (for printed numbers Welch's test on their uncertainties), Holm over the claim's cells; a claim about something "
    "missing is undecided. The best of a group is taken as given, which favours the larger group. The effect is the mean "
    "over its cells, in percentage points, above zero where the claim is right."
)
