"""Selecting: the epoch that each cell is judged on, from what was measured of every epoch. Nothing here reads or computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nrbench.families.executor import Failure
from nrbench.families.probe import Probe, Scoring
from nrbench.jobs.store import EpochRecord
from nrbench.suite.cell import Cell


class Selecting:
    """Cells on their way to an epoch: what has to be measured of every epoch for each, and which of them have failed.

    What a rule raises, or a probe that it needs, is the failure of its cells and costs no other.
    """

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.failures: dict[Cell, Failure] = {}
        self._asked: dict[Cell, Scoring | None] = {}
        for cell in cells:
            try:
                self._asked[cell] = cell.selection.scoring(cell.noise)
            except Exception as error:
                self.failures[cell] = Failure.of(error)

    @property
    def left(self) -> dict[Cell, Scoring | None]:
        """The cells that have not failed, with what epochs are chosen by for each; None where nothing is measured."""
        return {cell: scoring for cell, scoring in self._asked.items() if cell not in self.failures}

    def probes(self) -> list[Probe]:
        """Return what has to be measured of every epoch, each probe once."""
        return list(dict.fromkeys(scoring for scoring in self.left.values() if scoring is not None))

    def blame(self, measured: Mapping[str, dict[str, float] | Failure]) -> dict[str, dict[str, float]]:
        """Return what was measured, by the probe's fingerprint; cells whose probe failed have failed from here on."""
        for cell, scoring in self.left.items():
            if scoring is not None and isinstance(failure := measured.get(scoring.fingerprint), Failure):
                self.failures[cell] = failure
        return {probe: numbers for probe, numbers in measured.items() if not isinstance(numbers, Failure)}

    def choose(self, epochs: Sequence[EpochRecord]) -> dict[Cell, int]:
        """Return the epoch chosen for each cell among those there are, 0 if there are none."""
        chosen = {}
        for cell, scoring in self.left.items():
            try:
                scores = [None if scoring is None else correct(scoring, epoch) for epoch in epochs]
                chosen[cell] = cell.selection.choose(scores) if epochs else 0
                if not min(1, len(epochs)) <= chosen[cell] <= len(epochs):
                    raise ValueError(f"{cell.selection.name} chose epoch {chosen[cell]} of {len(epochs)}")
            except Exception as error:
                self.failures[cell] = Failure.of(error)
                chosen.pop(cell, None)
        return chosen


def correct(scoring: Scoring, epoch: EpochRecord) -> int:
    """Return how many images a scoring counted as right in an epoch."""
    return int(epoch.measured[scoring.fingerprint]["correct"])
