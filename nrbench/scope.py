"""Scopes: the rows that a suite's own tables and claims are about."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from nrbench.cell import BatchNorm
from nrbench.claim import Verdict, checked
from nrbench.component import Frozen
from nrbench.errors import DataError
from nrbench.evidence import Measured, published
from nrbench.layout import FIELDS
from nrbench.pivot import PivotTable, pivoted
from nrbench.place import Labelled
from nrbench.reference import Printed
from nrbench.suite import Benchmark, Collection, Column

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
