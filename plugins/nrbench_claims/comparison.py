"""Comparisons: a claim as weighted sums of rows, each with a reading, and a verdict on all of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nrbench import Checked, Claim, Estimate, Evidence, Patterns, Verdict, holm
from nrbench_claims.rows import NoRowError, RowSet, Term, rows_of


@dataclass(frozen=True, slots=True)
class Comparison:
    """One cell of a claim: it says something, and the rows that decide it."""

    cell: str
    """What is compared, in words."""
    terms: tuple[Term, ...] = ()
    """A weighted sum that is above zero where the claim is right; none where there is nothing to compare with."""
    estimate: Estimate | None = None
    """In the place of terms, for what is no sum of accuracies."""
    agrees: bool | None = None
    """The reading, where it is more than the sign of the effect."""
    missing: str = ""
    """What is not there."""


class ComparisonClaim(Claim):
    """A claim that comes down to comparisons, its cells."""

    needs: Literal["all", "most"] = "all"
    """Whether the sentence is about all of its cells or about more than half of them."""
    at_least: float = 0.0
    """By how much, in its own unit, an effect has to exceed zero to count; below zero, by how much it may fall short."""
    reference_tables: Patterns = ()
    """The tables of the reference that it is checked against; all of them by default."""

    @abstractmethod
    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        """Yield every cell of the claim; raise `NoRowError` where all of it is missing."""

    def verdict(self, evidence: Evidence) -> Verdict:
        found = rows_of(evidence, self.reference_tables)
        verdict = decided(self._cells(found), found, needs=self.needs, at_least=self.at_least)
        others = found.unprejudiced()
        if others is None or verdict.effect is None:
            return verdict
        effect = decided(self._cells(others), others, needs=self.needs, at_least=self.at_least).effect
        same = effect is None or abs(effect - verdict.effect) < 1e-9
        return verdict if same else verdict.replace(unprejudiced=effect)

    def _cells(self, evidence: RowSet) -> list[Comparison]:
        try:
            return list(self.comparisons(evidence)) or [Comparison(self.text, missing="it compares nothing")]
        except NoRowError as error:
            return [Comparison(self.text, missing=str(error))]


def decided(
    cells: list[Comparison], evidence: RowSet, *, needs: Literal["all", "most"], at_least: float = 0.0
) -> Verdict:
    """Return what a claim's cells amount to; their effects are those beyond `at_least`.

    Supported: every cell it needs is resolved in its favour. Contradicted: so many are resolved against it that it cannot
    be right. A claim about something that is missing is undecided, whatever the rest says.
    """
    cells, estimates = map(list, zip(*(_estimated(cell, evidence, at_least) for cell in cells), strict=True))
    p_values = {index: estimate.p for index, estimate in enumerate(estimates) if estimate is not None}
    resolved = holm(p_values, level=1 - evidence.confidence)
    results = [
        Checked(
            cell=cell.cell,
            agrees=_agreement(cell, estimate, evidence.rounding),
            effect=None if estimate is None else estimate.effect,
            interval=None if estimate is None else estimate.interval,
            resolved=index in resolved,
        )
        for index, (cell, estimate) in enumerate(zip(cells, estimates, strict=True))
    ]
    whole = _whole(cells, estimates, evidence, at_least)
    missing = [cell.missing for cell in cells if cell.missing]
    alone = sum(estimate is None and not cell.missing for cell, estimate in zip(cells, estimates, strict=True))
    verdict = "undecided" if missing else _verdict(results, needs)
    return Verdict(
        agree=sum(result.agrees == "yes" for result in results),
        ties=sum(result.agrees == "tie" for result in results),
        of=len(results),
        verdict=verdict,
        effect=None if whole is None else whole.effect,
        interval=None if whole is None else whole.interval,
        reason=missing[0] if missing else (_ALONE.format(alone) if alone and verdict == "undecided" else ""),
        cells=tuple(results),
    )


_ALONE = "nothing to compare with in {} of its cells: the grid has no strength on the other side"


def _estimated(cell: Comparison, evidence: RowSet, at_least: float) -> tuple[Comparison, Estimate | None]:
    try:
        return cell, evidence.estimate(cell.terms, beyond=at_least) if cell.terms else cell.estimate
    except NoRowError as error:
        return Comparison(cell.cell, missing=str(error)), None


def _agreement(cell: Comparison, estimate: Estimate | None, rounding: float) -> Literal["yes", "tie", "no", "missing"]:
    if cell.missing:
        return "missing"
    if (
        estimate is not None
        and cell.terms
        and abs(estimate.effect) <= rounding * sum(abs(w) for w, _ in cell.terms) + 1e-9
    ):
        return "tie"
    agrees = cell.agrees if cell.agrees is not None else estimate is not None and estimate.effect > 0
    return "yes" if agrees else "no"


def _whole(
    cells: list[Comparison], estimates: list[Estimate | None], evidence: RowSet, at_least: float
) -> Estimate | None:
    """Return the mean effect of all cells, None unless each has one; of estimates that are no sums without an interval."""
    known = [estimate for estimate in estimates if estimate is not None]
    if not known or len(known) < len(cells):
        return None
    if len(known) == 1:
        return known[0]
    if all(cell.terms for cell in cells):
        terms = [(weight / len(cells), row) for cell in cells for weight, row in cell.terms]
        return evidence.estimate(terms, beyond=at_least)
    return Estimate(sum(estimate.effect for estimate in known) / len(known), None, 1.0)


def _verdict(cells: list[Checked], needs: Literal["all", "most"]) -> Literal["supported", "contradicted", "undecided"]:
    needed = len(cells) if needs == "all" else len(cells) // 2 + 1
    in_favour = sum(cell.resolved and (cell.effect or 0) > 0 for cell in cells)
    against = sum(cell.resolved and (cell.effect or 0) < 0 for cell in cells)
    if in_favour >= needed:
        return "supported"
    return "contradicted" if against > len(cells) - needed else "undecided"
