"""Evaluation: how many images a network classifies rightly at w + δ."""

from __future__ import annotations

from collections.abc import Iterable

from nrbench.families.dataset import Images
from nrbench.families.selection import Scoring
from nrbench.jobs.network import Judge


def scored(judge: Judge, scorings: Iterable[Scoring], splits: dict[str, Images]) -> dict[str, int | Exception]:
    """Return, by fingerprint, what every scoring counts, or the exception its noise model raised.

    Scorings of the same split and number of draws share their passes' random numbers.
    """
    results: dict[str, int | Exception] = {}
    groups: dict[tuple[str, int], list[Scoring]] = {}
    for scoring in scorings:
        groups.setdefault((scoring.on, scoring.draws), []).append(scoring)
    for (split, draws), members in groups.items():
        try:
            counts = judge.scores([scoring.noise for scoring in members], splits[split], draws=draws)
            results |= {scoring.fingerprint: count for scoring, count in zip(members, counts, strict=True)}
        except Exception:
            for scoring in members:  # one by one, to find whose fault it is
                try:
                    results[scoring.fingerprint] = judge.scores([scoring.noise], splits[split], draws=draws)[0]
                except Exception as error:
                    results[scoring.fingerprint] = error
    return results
