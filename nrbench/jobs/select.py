"""Selecting: the epoch that each cell is judged on, from what was measured of every epoch. Nothing here reads or computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import isfinite
from operator import index

from nrbench.base.torch_state import unchanged
from nrbench.families.executor import Failure, attempt
from nrbench.families.noise import NoiseModel
from nrbench.families.probe import Probe, Scoring
from nrbench.families.selection import Selection
from nrbench.jobs.history import EpochRecord
from nrbench.suite.cell import Cell


class Selecting:
    """Cells on their way to an epoch: what has to be measured of every epoch for each, and which of them have failed.

    What a rule raises, or a probe that it needs, is the failure of its cells and costs no other.
    """

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.failures: dict[Cell, Failure] = {}
        self._asked: dict[Cell, Scoring | None] = {}
        for cell in cells:
            scoring = attempt(partial(_asked, cell.selection), cell.noise)
            if isinstance(scoring, Failure):
                self.failures[cell] = scoring
            else:
                self._asked[cell] = scoring

    @property
    def left(self) -> dict[Cell, Scoring | None]:
        """The cells that have not failed, with what epochs are chosen by for each; None where nothing is measured."""
        return {cell: scoring for cell, scoring in self._asked.items() if cell not in self.failures}

    def probes(self) -> list[Probe]:
        """Return what has to be measured of every epoch, each probe once."""
        return list(dict.fromkeys(scoring for scoring in self.left.values() if scoring is not None))

    def blame(
        self, measured: Mapping[str, dict[str, float] | Failure], images: Mapping[str, int]
    ) -> dict[str, dict[str, float]]:
        """Return what was measured, by the probe's fingerprint; cells whose probe failed have failed from here on.

        So have those whose probe counted what cannot be, given the number of `images` of each split.
        """
        wrong: set[str] = set()
        for cell, scoring in self.left.items():
            if scoring is None:
                continue
            found = measured.get(scoring.fingerprint)
            if isinstance(found, Failure):
                self.failures[cell] = found
            elif found is not None and not _is_count(found.get("correct"), images[scoring.on]):
                wrong.add(scoring.fingerprint)
                self.failures[cell] = Failure(
                    "error", f"{scoring.name} measured {found!r}, which has no count of right answers"
                )
        return {probe: n for probe, n in measured.items() if not isinstance(n, Failure) and probe not in wrong}

    def choose(self, epochs: Sequence[EpochRecord]) -> dict[Cell, int]:
        """Return the epoch chosen for each cell among those there are, 0 if there are none."""
        chosen = {}
        for cell, scoring in self.left.items():
            choice = attempt(partial(_chosen_by, cell.selection, scoring), epochs)
            if isinstance(choice, Failure):
                self.failures[cell] = choice
            else:
                chosen[cell] = choice
        return chosen


def _asked(selection: Selection, noise: NoiseModel) -> Scoring | None:
    with unchanged(selection.name):
        return selection.scoring(noise)


def _chosen_by(selection: Selection, scoring: Scoring | None, epochs: Sequence[EpochRecord]) -> int:
    return _chosen(selection, [None if scoring is None else correct(scoring, epoch) for epoch in epochs])


def _chosen(selection: Selection, scores: Sequence[int | None]) -> int:
    with unchanged(selection.name):
        choice = selection.choose(scores) if scores else 0
    try:
        choice = index(choice)
    except TypeError:
        raise TypeError(f"{selection.name} chose {choice!r}, which is no number of an epoch") from None
    if not min(1, len(scores)) <= choice <= len(scores):
        raise ValueError(f"{selection.name} chose epoch {choice} of {len(scores)}")
    return choice


def _is_count(value: object, of: int) -> bool:
    return isinstance(value, int | float) and isfinite(value) and 0 <= value <= of and value == int(value)


def correct(scoring: Scoring, epoch: EpochRecord) -> int:
    """Return how many images a scoring counted as right in an epoch."""
    return int(epoch.measured[scoring.fingerprint]["correct"])
