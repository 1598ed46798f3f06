"""The leaderboard: stored counts turned into means, uncertainties, differences and ranks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nrbench.base.component import Frozen, canonical_json
from nrbench.base.statistics import Interval, mean, quantile, std, t_interval, variance_components
from nrbench.board.ranking import Ranking, rankings
from nrbench.board.scope import ClaimRow, scopes
from nrbench.board.tables import PivotTable
from nrbench.jobs.results import CellFailure, CellResult, Environment, Found, accuracies, score
from nrbench.jobs.store import Store
from nrbench.suite.cell import BatchNorm
from nrbench.suite.schema import DIALECT
from nrbench.suite.suite import Benchmark, Column, Suite

Status = Literal["ok", "error", "diverged", "timeout", "out_of_memory", "killed", "incomplete"]


class Difference(Frozen):
    """The paired difference to the baseline: same seeds, same draws."""

    to: str
    mean: float
    """Percentage points."""
    interval: Interval | None
    """95 % t interval over the seeds."""


class Row(Frozen):
    """A method under one column. Accuracies are in percent; a spread that needs more values than there are is null."""

    method: str
    backbone: str
    dataset: str
    noise: str
    selection: str
    batch_norm: BatchNorm
    status: Status
    reason: str | None = Field(default=None, exclude=True)
    """The first failure's message; it may name paths, so it is shown but is no part of leaderboard.json."""
    accuracy: float | None = None
    """Mean over seeds of the mean over draws."""
    noise_std: float | None = None
    """Mean over seeds of the standard deviation over draws (ddof 1)."""
    weight_std: float | None = None
    """Standard deviation over seeds of the mean over draws (ddof 1)."""
    interval: Interval | None = None
    """95 % t interval over the seeds."""
    seeds: int = 0
    """Seeds that the accuracy is the mean of."""
    draws: int = 0
    by_seed: tuple[float | None, ...] = ()
    """Mean over draws for each seed; null for a seed without a result."""
    validation_accuracy: float | None = None
    """Accuracy on the held-out images that chose the epochs, under the noise they are chosen under; else null."""
    selected_on: Literal["validation", "test"] | None = None
    """The images that epochs are chosen on, if any are."""
    selected_epochs: tuple[int, ...] = ()
    clean_accuracy_there: float | None = None
    """Accuracy without noise of the very weights that were judged."""
    minimum: float | None = None
    """The worst chip: seeds × draws."""
    quantile_5: float | None = None
    """5 % quantile over chips."""
    yield_1: float | None = None
    """Share of chips that lose no more than one point against the same weights without noise."""
    difference: Difference | None = None
    passes_per_step: float | None = None
    """Forward-backward passes per training step."""
    displacement_norm: float | None = None
    """‖δ‖, mean over chips."""
    weight_norm: float | None = None
    """‖w‖, mean over seeds."""

    seed_std: float | None = None
    """What is between seeds beside the draws: variance component by the method of moments, as a standard deviation."""
    draw_std: float | None = None
    """The variance component between draws, as a standard deviation."""
    cells: tuple[str, ...] = ()
    """The key of each seed's cell, which `nrbench export` takes."""

    @property
    def chosen_by(self) -> float | None:
        """What the best of a group is the highest of; diverged is worse than anything, and what is not whole has nothing."""
        if self.status != "ok":
            return 0.0 if self.status == "diverged" else None
        return self.validation_accuracy if self.selected_on == "validation" else self.accuracy

    @property
    def column(self) -> Column:
        """What the method was judged under."""
        return Column(self.dataset, self.backbone, self.selection, self.batch_norm, self.noise)


class Leaderboard(BaseModel):
    """All results of a suite. `json_bytes()` is canonical: no times, hosts or paths, the same bytes for the same results."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    schema_version: Literal[1] = Field(default=1, alias="schema", serialization_alias="schema")
    suite: str
    baseline: str
    precision: str
    environments: tuple[Environment, ...]
    flags: tuple[str, ...]
    """What a reader should know before trusting a number."""
    rows: tuple[Row, ...]
    rankings: tuple[Ranking, ...]
    tables: tuple[PivotTable, ...] = ()
    """The tables that the suite asks for, for every selection and treatment of BatchNorm."""
    claims: tuple[ClaimRow, ...] = ()

    @classmethod
    def of(cls, benchmark: Benchmark, store: Store) -> Leaderboard:
        """Return the leaderboard of what is stored for a suite or collection; cells without a result are shown as such."""
        keys: Keys = {}
        rows: dict[tuple[Column, str], Row] = {}
        found: dict[tuple[Column, str], Sequence[Found]] = {}
        for suite in benchmark.parts:
            own = _keys(suite)
            found |= {place: [store.result(key) for key in cells] for place, cells in own.items() if place not in keys}
            keys |= own
            rows |= {place: _row(suite, *place, cells, found) for place, cells in own.items() if place not in rows}
        results = [result for cells in found.values() for result in cells if isinstance(result, CellResult)]
        environments = {each.fingerprint: each for result in results for each in result.environments}
        whole = tuple(rows.values())
        flags = [flag for suite in benchmark.parts for flag in _flags(suite, whole, len(environments))]
        about = list(scopes(benchmark, whole))
        return cls(
            schema=1,
            suite=benchmark.name,
            baseline=benchmark.parts[0].baseline,
            precision=", ".join(dict.fromkeys(suite.recipe.precision for suite in benchmark.parts)),
            environments=tuple(environments[key] for key in sorted(environments)),
            flags=tuple(dict.fromkeys(flags)),
            rows=whole,
            rankings=tuple(ranking for suite in benchmark.parts for ranking in rankings(suite, found)),
            tables=tuple(table for scope in about for table in scope.tables()),
            claims=tuple(claim for scope in about for claim in scope.claims()),
        )

    @property
    def failed(self) -> int:
        """The number of rows that are not whole."""
        return sum(row.status != "ok" for row in self.rows)

    def json_bytes(self) -> bytes:
        """Return the canonical bytes: keys sorted, rows sorted by their labels."""
        document = self.model_dump(mode="json", by_alias=True)
        labels = ("dataset", "backbone", "selection", "batch_norm", "noise", "method")
        document["rows"].sort(key=lambda row: [row[label] for label in labels])
        return canonical_json(document).encode() + b"\n"

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of leaderboard.json."""
        return {"$schema": DIALECT, **cls.model_json_schema(mode="serialization", by_alias=True)}

    @classmethod
    def from_json(cls, content: bytes) -> Leaderboard:
        """Return the leaderboard written by `json_bytes`."""
        return cls.model_validate(json.loads(content))


Keys = dict[tuple[Column, str], tuple[str, ...]]


def _keys(suite: Suite) -> Keys:
    """Return the key of every cell of a suite, by column and method, in the order of seeds; a training is hashed once."""
    trainings = {
        (dataset, backbone, method): [suite.training(dataset, backbone, method, seed) for seed in range(suite.seeds)]
        for dataset, backbone, method in product(suite.datasets, suite.backbones, suite.methods)
    }
    return {
        (column, method): tuple(
            suite.cell(column, method, training.seed, training=training).key
            for training in trainings[column.dataset, column.backbone, method]
        )
        for column in suite.columns()
        for method in suite.methods
    }


def _row(
    suite: Suite,
    column: Column,
    method: str,
    keys: tuple[str, ...],
    found: Mapping[tuple[Column, str], Sequence[Found]],
) -> Row:
    cells = found[column, method]
    results = [cell for cell in cells if isinstance(cell, CellResult)]
    whole = [result for result in results if result.status == "ok"]
    status, reason = _status(cells)
    scoring = suite.selections[column.selection].scoring(suite.noise[column.noise])
    row = Row(
        method=method,
        backbone=column.backbone,
        dataset=column.dataset,
        noise=column.noise,
        selection=column.selection,
        batch_norm=column.batch_norm,
        status=status,
        reason=reason,
        seeds=len(whole),
        draws=max((len(result.correct) for result in results), default=0),
        by_seed=tuple(map(score, cells)),
        selected_on=scoring.on if scoring else None,
        cells=keys,
    )
    if not whole:
        return row
    difference = _difference(suite.baseline, method, cells, found.get((column, suite.baseline), ()))
    return row.replace(difference=difference, **_numbers(whole, held_out=row.selected_on == "validation"))


def _status(cells: Sequence[Found]) -> tuple[Status, str | None]:
    """Return what became of a row's cells, and why it is not whole where somebody can say."""
    failure = next((cell for cell in cells if isinstance(cell, CellFailure)), None)
    if failure is not None:
        return failure.status, _reason(failure)
    if any(cell is not None and cell.status == "diverged" for cell in cells):
        return "diverged", "the training loss is not finite"
    return ("incomplete" if None in cells else "ok"), None


def _numbers(whole: Sequence[CellResult], *, held_out: bool) -> dict[str, Any]:
    """Return the numbers of a row, from the results of its seeds that have one."""
    by_seed = [accuracies(result) for result in whole]
    seed_means = [mean(draws) for draws in by_seed]
    spreads = [spread for draws in by_seed if (spread := std(draws)) is not None]
    chips = [accuracy for draws in by_seed for accuracy in draws]
    close = [100 * (r.clean_correct - correct) <= r.images for r in whole for correct in r.correct]
    between, within = variance_components(by_seed) or (None, None)
    return {
        "accuracy": mean(seed_means),
        "noise_std": mean(spreads) if spreads else None,
        "weight_std": std(seed_means),
        "interval": t_interval(seed_means),
        "seed_std": between,
        "draw_std": within,
        "validation_accuracy": _validation_accuracy(whole) if held_out else None,
        "selected_epochs": tuple(result.epoch for result in whole),
        "clean_accuracy_there": mean(100 * result.clean_correct / result.images for result in whole),
        "minimum": min(chips),
        "quantile_5": quantile(chips, 0.05),
        "yield_1": sum(close) / len(close),
        "passes_per_step": mean(result.passes_per_step for result in whole),
        "displacement_norm": _mean_of_known(result.displacement_norm for result in whole),
        "weight_norm": _mean_of_known(result.weight_norm for result in whole),
    }


def _validation_accuracy(results: Sequence[CellResult]) -> float | None:
    scores = [result.chosen_with for result in results if result.chosen_with is not None]
    if len(scores) < len(results):  # nothing was chosen for weights that were trained elsewhere
        return None
    return mean(100 * each.correct / each.images for each in scores)


def _reason(failure: CellFailure) -> str:
    return failure.message + (f"; it printed {failure.log}" if failure.log else "")


def _difference(baseline: str, method: str, cells: Sequence[Found], base: Sequence[Found]) -> Difference | None:
    pairs = [(score(a), score(b)) for a, b in zip(cells, base, strict=False)]
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    if method == baseline or not differences:
        return None
    return Difference(to=baseline, mean=mean(differences), interval=t_interval(differences))


def _flags(suite: Suite, rows: Sequence[Row], environments: int) -> Iterable[str]:
    if any(row.status != "ok" for row in rows):
        yield "some cells have no result"
    if environments > 1:
        yield "mixed environments"
    if suite.seeds < 3:
        yield "fewer than 3 seeds"
    yield from (f"{label}: {dataset.caveat}" for label, dataset in suite.datasets.items() if dataset.caveat)
    yield from (f"{label}: trained elsewhere" for label, method in suite.methods.items() if not method.trains)
    for label, selection in suite.selections.items():
        scorings = (selection.scoring(noise) for noise in suite.noise.values())
        if any(scoring is not None and scoring.on == "test" for scoring in scorings):
            yield f"{label}: selected on test"


def _mean_of_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None
