"""Suites: every cell that a YAML file asks for, and collections of several such products."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Sized
from functools import cached_property
from itertools import product
from math import prod
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from nrbench.base.component import Component, Frozen, Name
from nrbench.families.backbone import Backbone
from nrbench.families.claim import Claim
from nrbench.families.dataset import Dataset
from nrbench.families.method import Method
from nrbench.families.noise import NoiseModel
from nrbench.families.probe import Probe
from nrbench.families.row import Column, Patterns, matches
from nrbench.families.section import Section
from nrbench.families.selection import BestEpoch, Selection
from nrbench.suite.cell import Cell, Evaluation, Training
from nrbench.suite.recipe import Recipe
from nrbench.suite.reference import Reference
from nrbench.suite.seeds import GrowingSeeds, GrownSeeds, Seeds
from nrbench.suite.table import Pivot

SECTIONS: Mapping[str, type[Component]] = {
    "datasets": Dataset,
    "backbones": Backbone,
    "methods": Method,
    "noise": NoiseModel,
    "selections": Selection,
    "probes": Probe,
}
"""The sections of a suite that map labels to components."""

DEFAULT_SELECTION = "best epoch on validation"


def _is_no_store(name: str) -> str:
    if name == "store":
        raise ValueError("'store' is the name of the directory of all results")
    return name


SuiteName = Annotated[Name, AfterValidator(_is_no_store)]
"""What a suite can be called: it names a directory."""


class MethodPair(Frozen):
    """Two methods that are to be told apart; written as a list of two labels it is about all noise models together."""

    methods: tuple[str, str]
    """Their labels."""
    noise: Patterns = ()
    """The noise models over which their mean accuracies are compared; all of the suite by default."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        labels = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
        return {"anyOf": [labels, handler.resolve_ref_schema(handler(schema))]}

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"methods": value} if isinstance(value, list) else value


class Report(Frozen):
    """What the leaderboard compares."""

    baseline: str | None = None
    """The label of the method that differences are taken to; the first method if it is not said."""
    resolve: tuple[MethodPair, ...] | None = None
    """The pairs that seeds are added for, where `seeds` grow; each method with the baseline if it is not said."""
    sections: tuple[Section, ...] | None = None
    """What is shown beside the tables of accuracies; if it is not said, the sections that come with nrbench."""
    formats: tuple[Literal["png", "pdf"], ...] = ()
    """What every figure is written as beside SVG."""


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

    name: SuiteName
    """Names the directory of the leaderboard."""
    description: str = ""
    """Shown on the leaderboard."""
    tables: tuple[Pivot, ...] = ()
    """Tables of one's own, in the place of one for each backbone and data set."""
    claims: dict[str, Claim] = Field(default_factory=dict)
    """Sentences to be checked against the rows."""
    figures: dict[str, Section] = Field(default_factory=dict)
    """Figures of one's own, each a section of the report by the name of the figure."""
    reference: Reference | None = None
    """Printed numbers to be shown beside."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Suite, ...]:
        """The suites it is made of, each a whole product."""

    def for_device(self, device: torch.device) -> Self:
        """Return it with everything that depends on the device made concrete."""
        raise NotImplementedError

    def with_seeds(self, number: int) -> Self:
        """Return it with so many of the seeds that it may grow to."""
        raise NotImplementedError

    def looks(self) -> Iterator[Self]:
        """Yield it with each number of seeds that it may end at; itself alone where seeds do not grow."""
        seeds = self.parts[0].seeds
        if isinstance(seeds, GrowingSeeds):
            yield from (self.with_seeds(number) for number in range(seeds.first, seeds.last + 1))
        else:
            yield self

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

    def probes_of(self) -> Mapping[str, tuple[Probe, ...]]:
        """Return what is measured of each training, by its key, over all parts that ask for it."""
        found: dict[str, dict[str, Probe]] = {}
        for part in self.parts:
            for training in part.own_trainings.values() if part.probes else ():
                own = found.setdefault(training.key, {})
                for probe in part.probes.values():
                    known = own.setdefault(probe.fingerprint, probe)
                    own[probe.fingerprint] = min(known, probe, key=lambda each: each.every)
        return {key: tuple(probes.values()) for key, probes in found.items()}

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

    seeds: Seeds = 5
    """Trainings of everything, with seeds 0, 1, …: nobody picks them. A map lets them grow from a number to another."""
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
    probes: dict[str, Probe] = Field(default_factory=dict)
    """What is measured of the networks while they are trained, and shown as curves; it changes no other number."""
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
        cells = prod(len(section) for section in sections) * self.seed_count
        if cells > MAX_CELLS:
            raise ValueError(f"it asks for {cells:,} cells, more than {MAX_CELLS:,}")
        return self

    @property
    def parts(self) -> tuple[Suite, ...]:
        return (self,)

    @property
    def seed_count(self) -> int:
        """How many seeds there are; of seeds that have yet to grow, how many there may become."""
        if isinstance(self.seeds, GrownSeeds):
            return self.seeds.number
        return self.seeds.last if isinstance(self.seeds, GrowingSeeds) else self.seeds

    @property
    def baseline(self) -> str:
        """The label of the method that the others are compared with."""
        return self.report.baseline or next(iter(self.methods))

    def for_device(self, device: torch.device) -> Self:
        return self.replace(recipe=self.recipe.for_device(device))

    def with_seeds(self, number: int) -> Self:
        assert isinstance(self.seeds, GrowingSeeds)
        growing = {name: getattr(self.seeds, name) for name in GrowingSeeds.model_fields}
        return self.replace(seeds=GrownSeeds(**growing, number=number))

    def own_columns(self) -> Iterator[Column]:
        """Yield the combinations that every method is judged under, in the order of the file."""
        sections = (self.datasets, self.backbones, self.selections, self.evaluation.modes, self.noise)
        return (Column(*labels) for labels in product(*sections))

    @cached_property
    def own_trainings(self) -> Mapping[TrainingLabels, Training]:
        """Every training by its labels: the one place that says which there are."""
        sections = product(self.datasets.items(), self.backbones.items(), self.methods.items(), range(self.seed_count))
        recipes = {label: self.recipe.for_method(method) for label, method in self.methods.items()}
        return {
            TrainingLabels(method, backbone, dataset, seed): Training(data, network, way, recipes[method], seed)
            for (dataset, data), (backbone, network), (method, way), seed in sections
        }

    @cached_property
    def rows(self) -> Mapping[tuple[Column, str], tuple[Cell, ...]]:
        """The cells of every row of the leaderboard, by column and method, in the order of seeds."""
        return {
            (column, method): tuple(self._cell(column, method, seed) for seed in range(self.seed_count))
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

    def with_seeds(self, number: int) -> Self:
        return self.replace(suites=tuple(suite.with_seeds(number) for suite in self.suites))
