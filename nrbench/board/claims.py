"""Claims of a suite, checked against its rows and against what was printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from nrbench.base.component import Frozen
from nrbench.base.errors import told
from nrbench.base.statistics import LEVEL
from nrbench.families.claim import Claim, Evidence, Series, Verdict
from nrbench.families.row import BatchNorm, Row, matches
from nrbench.suite.suite import Benchmark

NO_SERIES: Mapping[str, Sequence[Series]] = MappingProxyType({})


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


def claim_rows(
    benchmark: Benchmark,
    rows: Sequence[Row],
    printed: Mapping[str, Sequence[Row]] | None,
    series: Mapping[str, Sequence[Series]] = NO_SERIES,
    *,
    level: float = LEVEL,
) -> Iterator[ClaimRow]:
    """Yield every claim of a suite with its verdicts on rows of one selection and treatment of BatchNorm."""
    methods, noise = benchmark.section("methods"), benchmark.section("noise")
    reference = None if printed is None else Evidence((), methods, noise, printed)
    for label, claim in benchmark.claims.items():
        about = [part for part in benchmark.parts if not claim.suites or matches(claim.suites, part.name)]
        positions = {position for part in about for position in part.rows} if claim.suites else None
        mine = [row for row in rows if positions is None or (row.column, row.method) in positions]
        own = [row.model_copy() for row in mine]  # a claim may write to them
        theirs = [each for part in about for each in series.get(part.name, ())]
        measured = Evidence(own, methods, noise, series=theirs, level=level)
        yield ClaimRow(
            suite=benchmark.name,
            claim=label,
            text=claim.text,
            source=claim.source,
            selection=rows[0].selection,
            batch_norm=rows[0].batch_norm,
            measured=_verdict(claim, measured),
            reference=None if reference is None else _verdict(claim, reference),
        )


def _verdict(claim: Claim, evidence: Evidence) -> Verdict:
    try:
        return Verdict.model_validate(claim.verdict(evidence))
    except BaseException as error:  # a plugin's own: its claim is undecided, and the rest of the board stands
        if isinstance(error, KeyboardInterrupt):
            raise
        return Verdict(reason=told(error))
