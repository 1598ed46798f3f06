"""Claims: sentences that the rows of a leaderboard support, contradict or leave undecided."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nrbench.base.component import Component, Frozen
from nrbench.base.statistics import LEVEL, Interval
from nrbench.families.row import Patterns, Row


class Series(Frozen):
    """A number that a probe measured of a method's trainings on one network, at the epochs at which every seed has it."""

    probe: str
    """The probe's label in the suite."""
    number: str
    """What the probe calls it."""
    method: str
    backbone: str
    dataset: str
    total: int = 0
    """The epochs of the whole training, of which these may be the first ones."""
    epochs: tuple[int, ...]
    by_seed: tuple[tuple[float, ...], ...]
    """Of each seed, the values at these epochs."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a claim is checked against: rows, and what their labels stand for."""

    rows: Sequence[Row] = ()
    """Rows of one suite, selection and treatment of BatchNorm that were measured here, with the same seeds and draws."""
    methods: Mapping[str, Component] = field(default_factory=dict)
    """The methods of the suite by label."""
    noise: Mapping[str, Component] = field(default_factory=dict)
    """Its noise models by label."""
    tables: Mapping[str, Sequence[Row]] | None = None
    """In the place of rows, numbers that somebody printed, by table."""
    series: Sequence[Series] = ()
    """What the suite's probes measured, and the training loss, which is of the probe of no name."""
    probes: Mapping[str, Component] = field(default_factory=dict)
    """The suite's probes by label."""
    level: float = LEVEL
    """The confidence of intervals, and 1 less the error of tests; above 95 % where seeds were added after looks."""


class Checked(Frozen):
    """What a cell of a claim was found to be."""

    cell: str
    agrees: Literal["yes", "tie", "no", "missing"]
    """The point estimates alone."""
    effect: float | None
    """Percentage points; above zero where the claim is right."""
    interval: Interval | None
    resolved: bool
    """Whether the effect is told from zero: Holm at 5 % over the cells of the claim."""


class Verdict(Frozen):
    """What the rows say of a claim: a reading of point estimates, and a verdict at 95 %. Never confuse them."""

    agree: int = 0
    """Cells in which the point estimates agree."""
    ties: int = 0
    of: int = 0
    """Cells of the claim."""
    verdict: Literal["supported", "contradicted", "undecided"] = "undecided"
    effect: float | None = None
    """Mean effect over the cells, in percentage points unless the claim says otherwise."""
    interval: Interval | None = None
    unprejudiced: float | None = None
    """The mean effect with the best of each group chosen, for every seed, on the other seeds; null where that is the same."""
    reason: str = ""
    """Why it is undecided, where something is missing or has nothing to be compared with."""
    cells: tuple[Checked, ...] = ()

    @property
    def reading(self) -> str:
        """`k of n`, and how many cells are tied."""
        return f"{self.agree} of {self.of}" + (f", {self.ties} tied" if self.ties else "")


class Claim(Component, family="claims"):
    """Family: a sentence that the rows of a leaderboard support, contradict or leave undecided."""

    text: str
    """The sentence."""
    source: str = ""
    """Where it stands."""
    suites: Patterns = ()
    """Of a collection, the names of the suites whose rows it is about; all of them by default."""

    def probed(self) -> Iterable[tuple[str, str, str]]:
        """Yield what probes have to measure for it: the label of the probe, its number, and the field that says so."""
        return ()

    @abstractmethod
    def verdict(self, evidence: Evidence) -> Verdict:
        """Return what the evidence says of it; a claim about something that is missing is undecided and says so."""
