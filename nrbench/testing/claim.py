"""Checks of claims."""

from __future__ import annotations

from nrbench.families.claim import Claim, Evidence


def check_claim_without_rows_is_undecided(claim: Claim) -> None:
    """Where no row is there it is undecided and says what is missing; nothing agrees with it."""
    found = claim.verdict(Evidence())
    assert (found.verdict, found.agree) == ("undecided", 0), f"without a single row it is {found.verdict}"
    assert found.reason, "it does not say what is missing"


CHECKS = (check_claim_without_rows_is_undecided,)
