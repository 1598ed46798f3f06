from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from scipy import stats

from nrbench import Claim, Estimate, Evidence, Row, RowFilter, Suite, Verdict
from nrbench.board.claims import claim_rows
from nrbench_claims import Comparison, ComparisonClaim, NoRowError, RowSet
from nrbench_claims.rows import rows_of
from tests.rows import printed, row


class Given(ComparisonClaim):
    """A claim whose cells are given: each is the difference of two methods."""

    name: Literal["given"] = "given"

    cells: tuple[tuple[str, str], ...]

    def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
        for a, b in self.cells:
            try:
                rows = evidence.one(RowFilter(method=a)), evidence.one(RowFilter(method=b))
            except NoRowError as error:
                yield Comparison(f"{a} over {b}", missing=str(error))
            else:
                yield Comparison(f"{a} over {b}", ((1, rows[0]), (-1, rows[1])))


A = row("a", (81.0, 82.2, 80.9, 81.7, 81.4))
B = row("b", (80.0, 80.9, 80.1, 80.6, 80.2))
C = row("c", (80.0, 81.6, 80.1, 80.4, 80.9))
ROWS = Evidence([A, B, C])


def checked(claim: Claim, evidence: Evidence) -> Verdict:
    return claim.verdict(evidence)


def claim(*cells: tuple[str, str], needs: Literal["all", "most"] = "all") -> Given:
    return Given(text="a sentence", cells=cells, needs=needs)


def test_differences_are_paired() -> None:
    """The effect and interval of a claim of one cell, and of that cell, are those of scipy's paired test over seeds."""
    found = checked(claim(("a", "b")), ROWS)
    oracle = stats.ttest_rel(A.by_seed, B.by_seed)
    differences = [a - b for a, b in zip(A.by_seed, B.by_seed, strict=True)]
    assert (found.verdict, found.reading) == ("supported", "1 of 1")
    for each in (found, found.cells[0]):
        assert each.effect == pytest.approx(sum(differences) / 5)
        assert each.interval == pytest.approx(tuple(oracle.confidence_interval()))


def test_all_cells_are_needed_or_most() -> None:
    """An unresolved cell leaves a claim about all of them undecided, and supports one about most."""
    cells = (("a", "b"), ("a", "c"), ("c", "b"))
    assert checked(claim(*cells), ROWS).verdict == "undecided"
    assert checked(claim(*cells, needs="most"), ROWS).verdict == "supported"
    found = checked(claim(*cells), ROWS)
    assert (found.agree, found.of, [cell.resolved for cell in found.cells]) == (3, 3, [True, True, False])


def test_one_resolved_cell_against_it_contradicts_a_claim_about_all() -> None:
    """A claim about all of its cells is contradicted by one, a claim about most only by half of them."""
    cells = (("a", "b"), ("a", "c"), ("b", "a"))
    assert checked(claim(*cells), ROWS).verdict == "contradicted"
    assert checked(claim(*cells, needs="most"), ROWS).verdict == "supported"
    assert checked(claim(("b", "a"), ("c", "a"), ("a", "b"), needs="most"), ROWS).verdict == "contradicted"


def test_holm_is_over_the_cells() -> None:
    """A cell that is significant by itself is not resolved among so many that are not."""
    close = row("d", tuple(value - shift for value, shift in zip(A.by_seed, (0.1, 0.4, 0.1, 0.5, 0.3), strict=True)))
    rows = Evidence([A, B, C, close])
    assert stats.ttest_rel(A.by_seed, close.by_seed).pvalue < 0.05
    alone, among = claim(("a", "d")), claim(("a", "d"), *[("c", "b")] * 9)
    assert [checked(each, rows).cells[0].resolved for each in (alone, among)] == [True, False]


def test_the_effect_is_the_mean_over_cells_with_the_interval_of_that_mean() -> None:
    """The interval is that of each seed's mean over the cells, worked out from scratch."""
    found = checked(claim(("a", "b"), ("a", "c")), ROWS)
    means = [a - (b + c) / 2 for a, b, c in zip(A.by_seed, B.by_seed, C.by_seed, strict=True)]
    oracle = stats.ttest_1samp(means, 0)
    assert found.effect == pytest.approx(sum(means) / 5)
    assert found.interval == pytest.approx(tuple(oracle.confidence_interval()))


@pytest.mark.parametrize(
    "rows",
    [
        [A],
        [A, row("b", (None,) * 5)],
        [A, row("b", (80.0, 80.9, None, 80.6, 80.2))],
        [],
    ],
    ids=["no row", "no result", "a seed is missing", "nothing"],
)
def test_a_claim_about_something_missing_is_undecided(rows: list[Row]) -> None:
    """Whatever the rest says, it is never supported nor contradicted, and the reason names the row."""
    for cells in ((("a", "b"),), (("a", "b"), ("b", "a"))):
        found = checked(claim(*cells), Evidence(rows))
        assert found.verdict == "undecided"
        assert ("b" if rows else "a") in found.reason
        assert found.cells[0].agrees == "missing"
        assert found.agree == 0


def test_one_missing_cell_leaves_it_undecided_whatever_the_others_say() -> None:
    """Two of three resolved in favour would be most, and one against would contradict all: with the third missing neither."""
    for cells, needs in (((("a", "b"), ("a", "c")), "most"), ((("b", "a"), ("c", "a")), "all")):
        whole, lacking = (checked(claim(*cells, *more, needs=needs), ROWS) for more in ((), (("a", "x"),)))
        assert whole.verdict != "undecided"
        assert (lacking.verdict, lacking.reason) == ("undecided", "there is no row for method x")


def test_what_a_claim_raises_of_its_own_makes_it_undecided() -> None:
    """A claim that finds nothing at all to compare is one cell, which is missing."""

    class Empty(ComparisonClaim):
        """A claim without rows."""

        name: Literal["empty"] = "empty"

        def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
            raise NoRowError("there is nothing")
            yield  # pragma: no cover

    found = checked(Empty(text="x"), ROWS)
    assert (found.verdict, found.reason, found.reading) == ("undecided", "there is nothing", "0 of 1")


def test_printed_numbers_are_not_paired_and_tie_within_rounding() -> None:
    """Welch's test decides, a difference of the last digit printed is a tie, and a number printed twice counts once."""

    tables = {"1": [printed("a", 77.65, 0.05), printed("b", 77.64, 0.36)], "2": [printed("a", 60.0, 1.0)]}
    found = checked(claim(("a", "b")).replace(reference_tables=("1",)), Evidence(tables=tables))
    assert (found.reading, found.verdict) == ("0 of 1, 1 tied", "undecided")
    oracle = stats.ttest_ind_from_stats(77.65, 0.05, 3, 77.64, 0.36, 3, equal_var=False)
    assert found.interval == pytest.approx(
        tuple(0.01 + 0.01 / oracle.statistic * stats.t.ppf(q, 2.0771) for q in (0.025, 0.975)), rel=1e-3
    )
    assert rows_of(Evidence(tables=tables), ()).one(RowFilter(method="a")).accuracy == 77.65


def test_an_estimate_may_stand_in_the_place_of_rows() -> None:
    """A claim about something other than accuracies brings its own estimate, and several have a mean without interval."""

    class Own(ComparisonClaim):
        """A claim with estimates of its own."""

        name: Literal["own"] = "own"

        def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
            yield Comparison("x", estimate=Estimate(0.1, (0.05, 0.15), 0.001))
            yield Comparison("y", estimate=Estimate(0.3, (0.2, 0.4), 0.001))

    found = checked(Own(text="x"), ROWS)
    assert (found.verdict, found.effect, found.interval) == ("supported", pytest.approx(0.2), None)


def test_a_printed_number_in_several_cells_is_one_number() -> None:
    """The interval of the mean over cells adds up each number's weights first; a number less itself is exactly nothing."""
    rows = Evidence(tables={"": [printed("a", 60.0, 3.0), printed("b", 50.0, 0.1), printed("c", 40.0, 0.1)]})
    found = checked(claim(("a", "b"), ("a", "c")), rows)
    parts = [3.0**2 / 3, 0.05**2 / 3, 0.05**2 / 3]
    half = stats.t.ppf(0.975, sum(parts) ** 2 / sum(part**2 / 2 for part in parts)) * sum(parts) ** 0.5
    assert found.interval == pytest.approx((15 - half, 15 + half))
    same = checked(claim(("a", "a")), rows)
    assert (same.effect, same.interval, same.reading) == (0.0, None, "0 of 1, 1 tied")


def test_a_claim_that_raises_costs_nothing_else(tiny: Suite) -> None:
    """What a plugin's claim raises is the reason that it is undecided."""

    class Broken(ComparisonClaim):
        """A claim that cannot count."""

        name: Literal["broken"] = "broken"

        def comparisons(self, evidence: RowSet) -> Iterator[Comparison]:
            yield Comparison("x", ((1 / 0, evidence.rows[0]),))

    suite = tiny.replace(claims={"broken": Broken(text="x"), "given": claim(("a", "b"))})
    broken, given = (each.measured for each in claim_rows(suite, [A, B], None))
    assert (broken.verdict, broken.reason) == ("undecided", "ZeroDivisionError: division by zero")
    assert given.verdict == "supported"
