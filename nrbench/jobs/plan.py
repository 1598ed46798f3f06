"""The plan of a run: what a suite asks for, what of it is stored, and where."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from platformdirs import user_cache_path

from nrbench.families.executor import Executor, Serial
from nrbench.families.probe import Probe
from nrbench.families.watcher import Watcher
from nrbench.jobs.job import Job
from nrbench.jobs.results import CellFailure, CellResult
from nrbench.jobs.store import Store
from nrbench.suite.cell import Cell

FAILURES = "failures.txt"
"""The file with the tracebacks of the cells that failed."""
LOCK = "suite.lock.json"
"""The resolved suite, written beside its leaderboard."""
LOG = "run.log"
"""What happened, as JSON lines."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a suite asks for and what of it is left to do."""

    cells: tuple[Cell, ...]
    jobs: tuple[Job, ...]
    failed: tuple[Cell, ...]
    """Cells whose stored failure stands, because nobody asked to retry it."""
    stored: Mapping[str, CellResult | CellFailure]
    """What is stored, by the keys of cells: it is read once."""
    fresh: bool
    """Whether stored trainings are made again."""

    @property
    def missing(self) -> int:
        """The number of cells to compute."""
        return sum(len(job.cells) for job in self.jobs)


def plan(
    cells: Iterable[Cell],
    store: Store,
    *,
    probes: Mapping[str, tuple[Probe, ...]] = MappingProxyType({}),
    force: bool = False,
    retry_failed: bool = False,
) -> Plan:
    """Return the jobs for all cells without a result: one for each training, with its missing cells.

    `probes` are what is measured of each training, by its key; where stored weights can still be measured, that is a job.
    """
    asked = tuple(cells)
    stored: dict[str, CellResult | CellFailure] = {}
    failed: list[Cell] = []
    missing: dict[str, list[Cell]] = {}
    for cell in asked:
        known = None if force else store.result_of(cell)
        if known is not None:
            stored[cell.key] = known
        if isinstance(known, CellFailure) and not (retry_failed or known.status == "killed"):
            failed.append(cell)
        elif not isinstance(known, CellResult):
            missing.setdefault(cell.training.key, []).append(cell)
    jobs = [
        Job(cells[0].training, tuple(dict.fromkeys(cells)), tuple(probes.get(key, ())))
        for key, cells in missing.items()
    ]
    for training in dict.fromkeys(cell.training for cell in asked):
        own = probes.get(training.key, ()) if training.key not in missing else ()
        if own and store.training(training.key).record().left(own, training.epochs):
            jobs.append(Job(training, (), own))
    return Plan(asked, tuple(jobs), tuple(failed), stored, force)


@dataclass(frozen=True, slots=True)
class Options:
    """How a suite is run; none of it changes a number."""

    out: Path = Path("results")
    data: Path | None = None
    device: str = "auto"
    executor: Executor = field(default_factory=Serial)
    watchers: Sequence[Watcher] = ()
    """What follows the run."""
    only: Sequence[str] = ()
    exclude: Sequence[str] = ()
    force: bool = False
    retry_failed: bool = False

    def __post_init__(self) -> None:
        """Fix where results go and data is, whatever a plugin makes of the working directory."""
        object.__setattr__(self, "out", Path(self.out).absolute())
        object.__setattr__(self, "data", self.data if self.data is None else Path(self.data).absolute())

    @property
    def store(self) -> Store:
        """Where results are kept."""
        return Store(self.out / "store")

    @property
    def data_root(self) -> Path:
        """Where data sets are kept."""
        return (
            self.data if self.data else Path(os.environ.get("NRBENCH_DATA_DIR") or user_cache_path("nrbench") / "data")
        )
