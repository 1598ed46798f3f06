"""Tables: rows of a leaderboard laid out as a table of one's own, such as one that a paper printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

from nrbench.base.component import Frozen, parameter
from nrbench.base.statistics import LEVEL
from nrbench.board.leading import leaders
from nrbench.families.row import BatchNorm, Row, RowFilter, Status, best, chooses, covered, unprejudiced
from nrbench.suite.table import Pivot, expanded


class Beside(Frozen):
    """A printed number beside a measured one."""

    accuracy: float
    noise_std: float | None
    weight_std: float | None
    difference: float | None
    """Measured less printed, in units of the combined uncertainty √(s₁²/n₁ + s₂²/n₂) over seeds."""


class PivotCell(Frozen):
    """One number of a table."""

    method: str | None
    """The method that it is of: of a group, the best."""
    tried: int
    """Methods that the best was chosen among; 1 where nothing was chosen."""
    status: Status | Literal["ambiguous"]
    accuracy: float | None
    noise_std: float | None
    weight_std: float | None
    unprejudiced: float | None
    """Accuracy where every seed has the method that is best by the other seeds; null where nothing was chosen."""
    bold: bool
    underlined: bool
    above: bool
    """Whether it lies beyond the staircase."""
    reference: Beside | None


class PivotLine(Frozen):
    """A line of a table."""

    group: str
    label: str
    cells: tuple[PivotCell | None, ...]
    """In the order of the columns; null where the suite asks for nothing."""


class PivotTable(Frozen):
    """A table filled in, under one selection and one treatment of BatchNorm."""

    suite: str
    title: str
    note: str
    selection: str
    batch_norm: BatchNorm
    groups: tuple[str, ...]
    """What stands above each column."""
    columns: tuple[str, ...]
    noises: tuple[str | None, ...]
    """The noise model of each column, where it is one."""
    lines: tuple[PivotLine, ...]
    chosen_on: Literal["validation", "test", ""]
    """What the best of each group was chosen on, if anything was chosen."""
    uneven: bool
    """Whether groups of unequal size were chosen from: more was tried for some than for others."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Rows that a cell of a table is chosen from."""

    chosen: Row | None
    rows: Sequence[Row]


Position = tuple[int, int]
"""Line and column."""
Grid = Sequence[Sequence[_Candidates]]


def pivoted(
    pivot: Pivot,
    rows: Sequence[Row],
    *,
    suite: str,
    sections: Mapping[str, Mapping[str, Any]],
    printed: Sequence[Row] = (),
    level: float = LEVEL,
) -> PivotTable:
    """Return a table of a suite filled in from its rows of one selection and treatment of BatchNorm.

    `sections` are the suite's components by label, by the field of a filter that their labels go into. `printed` are the
    numbers that stand beside. What leads is told at a `level` of confidence.
    """
    down, across = list(expanded(pivot.rows, sections)), list(expanded(pivot.columns, sections))
    grid = [[_candidates(rows, [pivot.under, line, column]) for column in across] for line in down]
    groups, kinds = [column.group for column in across], [line.group for line in down]
    bold = _leading(grid, _regions(pivot.bold, kinds, groups), level)
    underlined = _highest(grid, _regions(pivot.underline, kinds, groups))
    lines = []
    for y, line in enumerate(down):
        cells = []
        for x, column in enumerate(across):
            mark = {"bold": (y, x) in bold, "underlined": (y, x) in underlined}
            other = _candidates(printed, [pivot.under, line, column]).chosen
            cells.append(_cell(grid[y][x], other, mark, above=_above(pivot.staircase, grid[y][x], sections)))
        lines.append(PivotLine(group=line.group, label=line.label, cells=tuple(cells)))
    tried = {len(found.rows) for row in grid for found in row if len(found.rows) > 1}
    held_out = any(row.compared_on == "validation" for row in rows)
    return PivotTable(
        suite=suite,
        selection=rows[0].selection,
        batch_norm=rows[0].batch_norm,
        title=pivot.title,
        note=pivot.note,
        groups=tuple(groups),
        columns=tuple(column.label for column in across),
        noises=tuple(_only({row.noise for line in grid for row in line[x].rows}) for x in range(len(across))),
        lines=tuple(lines),
        chosen_on=("validation" if held_out else "test") if tried else "",
        uneven=len(tried) > 1,
    )


def _only(labels: set[str]) -> str | None:
    return next(iter(labels)) if len(labels) == 1 else None


def _candidates(rows: Sequence[Row], filters: Sequence[RowFilter]) -> _Candidates:
    meant = covered(rows, filters)
    if len(meant) == 1:
        return _Candidates(meant[0], meant)
    return _Candidates(best(meant) if chooses(filters) else None, meant)


def _cell(candidates: _Candidates, printed: Row | None, mark: Mapping[str, bool], *, above: bool) -> PivotCell | None:
    row = candidates.chosen
    if not candidates.rows:
        return None
    failed = [each.status for each in candidates.rows if each.status != "ok"]
    beside = None
    fair = unprejudiced(candidates.rows) if row is not None and len(candidates.rows) > 1 else None
    if printed is not None and printed.accuracy is not None:
        beside = Beside(
            accuracy=printed.accuracy,
            noise_std=printed.noise_std,
            weight_std=printed.weight_std,
            difference=None if row is None else combined(row, printed),
        )
    return PivotCell(
        method=row.method if row else None,
        tried=len(candidates.rows),
        status=row.status if row else (failed[0] if failed else "ambiguous"),
        accuracy=row.accuracy if row else None,
        noise_std=row.noise_std if row else None,
        weight_std=row.weight_std if row else None,
        unprejudiced=fair.accuracy if fair else None,
        above=above,
        reference=beside,
        **mark,
    )


def combined(first: Row, second: Row) -> float | None:
    """Return first less second in units of √(s₁²/n₁ + s₂²/n₂); None where an uncertainty is not known, or both are 0."""
    if first.weight_std is None or second.weight_std is None or first.accuracy is None or second.accuracy is None:
        return None
    uncertainty = sqrt(first.weight_std**2 / first.seeds + second.weight_std**2 / second.seeds)
    return (first.accuracy - second.accuracy) / uncertainty if uncertainty else None


def _above(field: str, candidates: _Candidates, sections: Mapping[str, Mapping[str, Any]]) -> bool:
    if not field or candidates.chosen is None:
        return False
    strengths = []
    for component in (sections["method"][candidates.chosen.method], sections["noise"][candidates.chosen.noise]):
        try:
            strengths.append(float(parameter(component, field)))
        except (LookupError, TypeError, ValueError):  # SGD has no sigma and the clean column none
            strengths.append(0.0)
    return strengths[0] > strengths[1]


def _regions(mode: str, lines: Sequence[str], columns: Sequence[str]) -> list[list[Position]]:
    """Return the cells among which one is marked, by row and column, given the groups of lines and of columns."""
    regions: dict[tuple[int | str, ...], list[Position]] = {}
    for y, line in enumerate(lines):
        for x, column in enumerate(columns):
            region = {"table": (), "column": (x, line), "row": (y, column)}.get(mode)
            if region is not None:
                regions.setdefault(region, []).append((y, x))
    return list(regions.values())


def _shown(grid: Grid, region: Sequence[Position]) -> dict[Position, Row]:
    """Return the whole rows of a region that has more than one of them."""
    rows = {(y, x): grid[y][x].chosen for y, x in region}
    whole = {at: row for at, row in rows.items() if row and row.accuracy is not None and row.status == "ok"}
    return whole if len(whole) > 1 else {}


def _leading(grid: Grid, regions: Iterable[Sequence[Position]], level: float) -> set[Position]:
    """Return what cannot be told from the highest accuracy of its region."""
    found = [_shown(grid, region) for region in regions]
    return {list(whole)[at] for whole in found for at in leaders(list(whole.values()), level=level)}


def _highest(grid: Grid, regions: Iterable[Sequence[Position]]) -> set[Position]:
    """Return what has the highest accuracy of its region as it is shown."""
    marked = set()
    for region in regions:
        shown = {at: round(row.accuracy or 0.0, 2) for at, row in _shown(grid, region).items()}
        marked |= {at for at, value in shown.items() if value == max(shown.values())}
    return marked
