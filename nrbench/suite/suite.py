"""Suites: every cell that a YAML file asks for, and collections of several such products."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Sized
from functools import cached_property
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import torch
from pydantic import AfterValidator, Field, model_validator

from nrbench.base.component import Component, Frozen, Name
from nrbench.base.errors import UsageError, did_you_mean
from nrbench.families.backbone import Backbone
from nrbench.families.claim import Claim
from nrbench.families.dataset import Dataset
from nrbench.families.method import Method
from nrbench.families.noise import NoiseModel
from nrbench.families.row import Column, matches
from nrbench.families.section import Section
from nrbench.families.selection import BestEpoch, Selection
from nrbench.suite.cell import Cell, Evaluation, Training
from nrbench.suite.recipe import Recipe
from nrbench.suite.reference import Reference
from nrbench.suite.table import Pivot

SECTIONS: Mapping[str, type[Component]] = {
    "datasets": Dataset,
    "backbones": Backbone,
    "methods": Method,
    "noise": NoiseModel,
    "selections": Selection,
}
"""The sections of a suite that map labels to components."""

DEFAULT_SELECTION = "best epoch on validation"


def _is_no_store(name: str) -> str:
    if name == "store":
        raise ValueError("'store' is the name of the directory of all results")
    return name


class Report(Frozen):
    """What the leaderboard compares."""

    baseline: str | None = None
    """The label of the method that differences are taken to; the first method if it is not said."""
    sections: tuple[Section, ...] | None = None
    """What is shown beside the tables of accuracies; if it is not said, the sections that come with nrbench."""


class TrainingLabels(NamedTuple):
    """What people call a training."""

    method: str
    backbone: str
    dataset: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method}, {self.backbone}, {self.dataset}, seed {self.seed}"


class Benchmark(Frozen):
    """What can be run and has a leaderboard: a suite, or a collection of suites."""

    name: Annotated[Name, AfterValidator(_is_no_store)]
    """Names the directory of the leaderboard."""
    description: str = ""
    """Shown on the leaderboard."""
    tables: tuple[Pivot, ...] = ()
    """Tables of one's own, in the place of one for each backbone and data set."""
    claims: dict[str, Claim] = Field(default_factory=dict)
    """Sentences to be checked against the rows."""
    reference: Reference | None = None
    """Printed numbers to be shown beside."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Suite, ...]:
        """The suites it is made of, each a whole product."""

    def for_device(self, device: torch.device) -> Self:
        """Return it with everything that depends on the device made concrete."""
        raise NotImplementedError

    def section(self, name: str) -> dict[str, Any]:
        """Return the components of a section by label, over all parts."""
        return {label: component for part in self.parts for label, component in getattr(part, name).items()}

    def columns(self) -> Iterator[Column]:
        """Yield the combinations that methods are judged under, part after part."""
        return iter(dict.fromkeys(column for part in self.parts for column in part.own_columns()))

    def trainings(self) -> Mapping[str, TrainingLabels]:
        """Return the labels of every training by its key, part after part; what parts share is there once."""
        named = (item for part in self.parts for item in part.own_trainings.items())
        found: dict[str, TrainingLabels] = {}
        for labels, training in named:
            found.setdefault(training.key, labels)
        return found

    def cells(self, *, only: Sequence[str] = (), exclude: Sequence[str] = ()) -> Iterator[Cell]:
        """Yield every cell once, trainings kept together; `only` and `exclude` are patterns for labels.

        A cell is left out if patterns are given in `only` and none matches one of its labels, or if one in `exclude` does.
        """
        asked: dict[str, dict[str, Cell]] = {}
        for part in self.parts:
            for (column, method), cells in part.rows.items():
                labels = (method, column.dataset, column.backbone, column.selection, column.noise)
                if only and not any(matches(only, label) for label in labels):
                    continue
                if any(matches(exclude, label) for label in labels):
                    continue
                for cell in cells:
                    asked.setdefault(cell.training.key, {})[cell.key] = cell
        for group in asked.values():
            yield from group.values()

    def labels(self) -> list[str]:
        """Return every label that a pattern can match."""
        return [label for section in SECTIONS for label in self.section(section)]

    def lock(self) -> bytes:
        """Return everything that was resolved, as JSON; see `locked_suite`."""
        return self.model_dump_json(indent=2).encode() + b"\n"


MAX_CELLS = 200_000
"""Cells of a suite; 10,000 take 60 MiB and a third of a second to plan."""


class Suite(Benchmark):
    """Every method × noise model × backbone × data set × selection, with so many seeds and draws."""

    seeds: int = Field(default=5, ge=1, le=1000)
    """Trainings of everything, with seeds 0, 1, …: nobody picks them."""
    draws: int = Field(default=10, ge=1, le=100_000)
    """Noisy copies of each trained network."""
    datasets: dict[str, Dataset] = Field(min_length=1)
    """What is learned."""
    backbones: dict[str, Backbone] = Field(min_length=1)
    """What is trained."""
    recipe: Recipe = Recipe()
    """How everything is trained, whatever the method."""
    selections: dict[str, Selection] = Field(default={DEFAULT_SELECTION: BestEpoch()}, min_length=1)
    """Which epoch's weights are judged; one training serves all selections."""
    methods: dict[str, Method] = Field(min_length=1)
    """What is compared."""
    noise: dict[str, NoiseModel] = Field(min_length=1)
    """What the weights meet when they are judged."""
    evaluation: Evaluation = Evaluation()
    """How they are judged."""
    report: Report = Report()
    """What the leaderboard compares with."""

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        sections: tuple[Sized, ...] = (
            self.datasets,
            self.backbones,
            self.methods,
            self.noise,
            self.selections,
            self.evaluation.modes,
        )
        cells = prod(len(section) for section in sections) * self.seeds
        if cells > MAX_CELLS:
            raise ValueError(f"it asks for {cells:,} cells, more than {MAX_CELLS:,}")
        return self

    @property
    def parts(self) -> tuple[Suite, ...]:
        return (self,)

    @property
    def baseline(self) -> str:
        """The label of the method that the others are compared with."""
        return self.report.baseline or next(iter(self.methods))

    def for_device(self, device: torch.device) -> Self:
        return self.replace(recipe=self.recipe.for_device(device))

    def own_columns(self) -> Iterator[Column]:
        """Yield the combinations that every method is judged under, in the order of the file."""
        sections = (self.datasets, self.backbones, self.selections, self.evaluation.modes, self.noise)
        return (Column(*labels) for labels in product(*sections))

    @cached_property
    def own_trainings(self) -> Mapping[TrainingLabels, Training]:
        """Every training by its labels: the one place that says which there are."""
        sections = product(self.datasets.items(), self.backbones.items(), self.methods.items(), range(self.seeds))
        return {
            TrainingLabels(method, backbone, dataset, seed): Training(data, network, way, self.recipe, seed)
            for (dataset, data), (backbone, network), (method, way), seed in sections
        }

    @cached_property
    def rows(self) -> Mapping[tuple[Column, str], tuple[Cell, ...]]:
        """The cells of every row of the leaderboard, by column and method, in the order of seeds."""
        return {
            (column, method): tuple(self._cell(column, method, seed) for seed in range(self.seeds))
            for column in self.own_columns()
            for method in self.methods
        }

    def _cell(self, column: Column, method: str, seed: int) -> Cell:
        noise = self.noise[column.noise]
        return Cell(
            training=self.own_trainings[TrainingLabels(method, column.backbone, column.dataset, seed)],
            noise=noise,
            draws=self.draws if noise.random else 1,
            selection=self.selections[column.selection],
            batch_norm=column.batch_norm,
        )


class Collection(Benchmark):
    """Several suites under one leaderboard. What they share is computed once; a label means the same in all of them."""

    suites: tuple[Suite, ...] = Field(min_length=1)
    """The suites, each with its own tables, claims and ranking."""

    @property
    def parts(self) -> tuple[Suite, ...]:
        return self.suites

    def for_device(self, device: torch.device) -> Self:
        return self.replace(suites=tuple(suite.for_device(device) for suite in self.suites))


def find_suite(name: str | Path) -> Path:
    """Return the file of a suite given by path or, for one that comes with nrbench, by name."""
    path = Path(name)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return path
    shipped = shipped_suites()
    if str(name) in shipped:
        return shipped[str(name)]
    hint = did_you_mean(name, list(shipped))
    raise UsageError(f"no file and no suite named {str(name)!r}; {hint or 'there are ' + ', '.join(shipped)}")


def shipped_suites() -> dict[str, Path]:
    """Return the suites that come with nrbench, by name."""
    package = Path(__file__).parent.parent
    folder = next(path for path in (package / "suites", package.parent / "suites") if path.is_dir())
    files = (path for path in sorted(folder.rglob("*.yaml")) if not path.name.startswith("_"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}
