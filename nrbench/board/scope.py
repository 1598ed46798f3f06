"""Scopes: the rows that a suite's own tables and claims are about."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from nrbench.base.component import Component, Frozen
from nrbench.base.errors import DataError
from nrbench.board.tables import PivotTable, pivoted
from nrbench.families.claim import Verdict, checked
from nrbench.families.evidence import Measured, Published
from nrbench.families.row import Labelled
from nrbench.suite.cell import BatchNorm
from nrbench.suite.check import FIELDS
from nrbench.suite.reference import Printed
from nrbench.suite.suite import Benchmark, Collection, Column

log = logging.getLogger(__name__)


class InColumn(Labelled, Protocol):
    """A row that knows which column of which suite it is of."""

    @property
    def column(self) -> Column: ...


Row = TypeVar("Row", bound=InColumn)


class ClaimRow(Frozen):
    """A claim, what was measured of it and, where there is a reference, what the printed numbers say."""

    suite: str
    claim: str
    text: str
    source: str
    selection: str
    batch_norm: BatchNorm
    measured: Verdict
    reference: Verdict | None


@dataclass(frozen=True)
class Scope(Generic[Row]):
    """A suite or collection under one selection and one treatment of BatchNorm, and its rows."""

    benchmark: Benchmark
    selection: str
    batch_norm: BatchNorm
    rows: Sequence[Row]

    def tables(self) -> Iterator[PivotTable]:
        """Yield the tables that are asked for, filled in."""
        about = {"suite": self.benchmark.name, "selection": self.selection, "batch_norm": self.batch_norm}
        sections = {field: self.benchmark.section(section) for section, field in FIELDS.items()}
        for pivot in self.benchmark.tables:
            yield pivoted(pivot, self.rows, sections=sections, printed=self._printed() or (), about=about)

    def claims(self) -> Iterator[ClaimRow]:
        """Yield every claim with its verdicts."""
        methods, noise = self.benchmark.section("methods"), self.benchmark.section("noise")
        rows = self._printed()
        for label, claim in self.benchmark.claims.items():
            printed = None if rows is None else published(rows, claim.reference_tables, methods=methods, noise=noise)
            yield ClaimRow(
                suite=self.benchmark.name,
                claim=label,
                text=claim.text,
                source=claim.source,
                selection=self.selection,
                batch_norm=self.batch_norm,
                measured=checked(claim, Measured(self.rows, methods, noise)),
                reference=checked(claim, printed) if printed else None,
            )

    def _printed(self) -> tuple[Printed, ...] | None:
        """Return the printed numbers of the reference; none where there is no reference, or its file is gone."""
        reference = self.benchmark.reference
        try:
            return None if reference is None else reference.rows
        except DataError as error:
            log.warning("no printed numbers stand beside: %s", error)
            return None


def scopes(benchmark: Benchmark, rows: Sequence[Row]) -> Iterator[Scope[Row]]:
    """Yield the scopes of every part and then, for a collection, those of all parts together."""
    for each in (*benchmark.parts, *([benchmark] if isinstance(benchmark, Collection) else [])):
        keys = dict.fromkeys((c.selection, c.batch_norm) for c in each.columns())
        columns = set(each.columns())
        methods = each.section("methods")
        for selection, mode in keys:
            own = [row for row in rows if row.column in columns and row.method in methods]
            here = [row for row in own if (row.column.selection, row.column.batch_norm) == (selection, mode)]
            yield Scope(each, selection, mode, here)


def published(
    rows: Iterable[Printed],
    tables: Sequence[str],
    *,
    methods: Mapping[str, Component],
    noise: Mapping[str, Component],
) -> Published:
    """Return the evidence of printed numbers, of some tables or all; what is printed again counts once."""
    chosen: dict[tuple[str, ...], Printed] = {}
    for row in rows:
        if not tables or row.table in tables:
            chosen.setdefault((row.dataset, row.backbone, row.noise, row.method), row)
    return Published(tuple(chosen.values()), methods, noise)
