"""The tables that a suite asks for, as sheets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from nrbench.board.sheets import treatment
from nrbench.board.tables import Beside, PivotCell, PivotTable
from nrbench.families.sheet import Entry, Head, Line, Sheet, Style, rounded, uncertainties

ABOVE = "↗"
"""Marks a cell beyond the staircase."""
LEFT_OUT = "out of seed"
"""Marks the unprejudiced estimate of the best of a group."""


def asked_tables(tables: Sequence[PivotTable]) -> Iterator[Sheet]:
    """Yield the sheets of tables, with how epochs were chosen in their titles, and the suite where several have the title."""
    users = Counter(title for title, _ in {(table.title, table.suite) for table in tables})
    for table in tables:
        yield _asked_table(table, f"{table.suite}: {table.title}" if users[table.title] > 1 else table.title)


def _asked_table(table: PivotTable, title: str) -> Sheet:
    columns = zip(table.columns, table.groups, table.noises, strict=True)
    return Sheet(
        title=f"{title} ({table.selection}{treatment(table.batch_norm)})",
        first="",
        heads=tuple(Head(label, group, noise) for label, group, noise in columns),
        lines=tuple(Line(line.label, tuple(map(_entry, line.cells)), line.group) for line in table.lines),
        notes=tuple(_notes(table)),
    )


def _entry(cell: PivotCell | None) -> Entry:
    if cell is None:
        return Entry()
    number = cell.status if cell.accuracy is None else rounded(cell.accuracy)
    below: tuple[str, ...] = ()
    if cell.accuracy is not None:
        below = uncertainties(cell.noise_std, cell.weight_std) + ((f"({cell.status})",) if cell.status != "ok" else ())
    if cell.tried > 1 and cell.method:
        below += (cell.method,)
    if cell.unprejudiced is not None and cell.unprejudiced != cell.accuracy:
        below += (f"{rounded(cell.unprejudiced)} {LEFT_OUT}",)
    if cell.reference is not None:
        below += (_printed(cell.reference),)
    marks: dict[Style, bool] = {
        "failed": cell.accuracy is None,
        "best": cell.bold,
        "second": cell.underlined,
        "above": cell.above,
    }
    styles = tuple(style for style, applies in marks.items() if applies)
    text = f"{number} {ABOVE}" if cell.above else number
    return Entry(text, below, styles, accuracy=cell.accuracy, spread=cell.weight_std)


def _printed(beside: Beside) -> str:
    """Return the number that was printed and how far off it is."""
    text = " ".join([rounded(beside.accuracy), *uncertainties(beside.noise_std, beside.weight_std)])
    return text if beside.difference is None else f"{text} ({beside.difference:+.1f} u)"


def _notes(table: PivotTable) -> Iterator[str]:
    if table.note:
        yield table.note
    cells = [cell for line in table.lines for cell in line.cells if cell is not None]
    if any(cell.above for cell in cells):
        yield f"Cells beyond the staircase are marked {ABOVE}."
    if table.chosen_on:
        tried = sorted({cell.tried for cell in cells if cell.tried > 1})
        where = (
            "validation, together with the epoch" if table.chosen_on == "validation" else "the test images themselves"
        )
        yield f"The best of each group of {' or '.join(map(str, tried))} methods is chosen on {where}."
    if any(cell.unprejudiced not in (None, cell.accuracy) for cell in cells):
        yield (
            f"What was chosen for its accuracy looks too good: {LEFT_OUT} is the accuracy where every seed has the method "
            "that is best by the other seeds, where it is another."
        )
    if table.uneven:
        yield "More was tried for some groups than for others."
    if any(cell.reference for cell in cells):
        yield "Below each number the printed one, and the difference in units of the combined uncertainty over seeds."
