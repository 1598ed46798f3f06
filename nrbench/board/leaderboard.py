"""The leaderboard: stored counts turned into means, uncertainties, differences, ranks and verdicts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from math import sqrt
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nrbench.base import disk
from nrbench.base.component import canonical_json
from nrbench.base.errors import DataError, MissingError, escaped, printable
from nrbench.base.statistics import LEVEL
from nrbench.board.claims import ClaimRow, claim_rows
from nrbench.board.growing import Growth, growth_of
from nrbench.board.leading import with_leaders
from nrbench.board.ranking import Ranking, rankings
from nrbench.board.rows import Results, rows
from nrbench.board.series import series_of
from nrbench.board.sheets import notebook_html
from nrbench.board.tables import PivotTable, pivoted
from nrbench.families.claim import Series
from nrbench.families.row import Row
from nrbench.families.selection import chosen_on
from nrbench.jobs.results import CellResult, Environment, Result
from nrbench.jobs.store import Store
from nrbench.suite.schema import DIALECT
from nrbench.suite.suite import Benchmark, Collection, Suite
from nrbench.suite.table import FIELDS

log = logging.getLogger(__name__)
NOTHING: Mapping[str, Result] = MappingProxyType({})


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
    growth: Growth | None = None
    """How its seeds were added, where they were."""
    rows: tuple[Row, ...]
    rankings: tuple[Ranking, ...]
    tables: tuple[PivotTable, ...] = ()
    """The tables that the suite asks for, for every selection and treatment of BatchNorm."""
    claims: tuple[ClaimRow, ...] = ()

    @classmethod
    def of(cls, benchmark: Benchmark, store: Store, known: Mapping[str, Result] = NOTHING) -> Leaderboard:
        """Return the leaderboard of what is stored for a suite or collection; cells without a result are shown as such.

        What is `known` of the store, by the keys of cells, is not read again.
        """
        asked = {cell.key: cell for part in benchmark.parts for cells in part.rows.values() for cell in cells}
        found = {key: known[key] if key in known else store.result_of(cell) for key, cell in asked.items()}
        grouped: Results = {
            position: [found[cell.key] for cell in cells]
            for part in benchmark.parts
            for position, cells in part.rows.items()
        }
        growth = growth_of(benchmark, found)
        level = growth.level if growth else LEVEL
        whole: dict[Any, Row] = {}
        for part in benchmark.parts:
            whole = rows(part, grouped, level=level) | whole
        positions = dict.fromkeys(position for part in benchmark.parts for position in part.rows)
        ordered = with_leaders((whole[position] for position in positions), level=level)
        environments = _environments(found.values())
        views = list(_views(benchmark, ordered))
        return cls(
            schema=1,
            suite=benchmark.name,
            baseline=benchmark.parts[0].baseline,
            precision=", ".join(dict.fromkeys(part.recipe.precision for part in benchmark.parts)),
            environments=environments,
            flags=tuple(
                dict.fromkeys(f for part in benchmark.parts for f in _flags(part, ordered, environments, grouped))
            ),
            growth=growth,
            rows=tuple(ordered),
            rankings=tuple(ranking for part in benchmark.parts for ranking in rankings(part, grouped, level=level)),
            tables=tuple(table for view in views for table in _tables(*view, level)),
            claims=tuple(row for view in views for row in claim_rows(*view, _series(view[0], store), level=level)),
        )

    @property
    def level(self) -> float:
        """The confidence of its intervals, and 1 less the error of its tests."""
        return self.growth.level if self.growth else LEVEL

    @property
    def failed(self) -> int:
        """The number of rows that are not whole."""
        return sum(row.status != "ok" for row in self.rows)

    def json_bytes(self) -> bytes:
        """Return the canonical bytes: keys sorted, rows sorted by their labels."""
        document = self.model_dump(mode="json", by_alias=True)
        labels = ("dataset", "backbone", "selection", "batch_norm", "noise", "method")
        document["rows"].sort(key=lambda row: [row[label] for label in labels])
        return escaped(canonical_json(document)).encode() + b"\n"

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of leaderboard.json."""
        return {"$schema": DIALECT, **cls.model_json_schema(mode="serialization", by_alias=True)}

    @classmethod
    def from_json(cls, content: bytes) -> Leaderboard:
        """Return the leaderboard written by `json_bytes`; raise `DataError` for anything else, by what is wrong with it."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise DataError(f"this is no leaderboard that can be read here: {where}: {first['msg']}") from None

    def __getitem__(self, labels: str | tuple[str, ...]) -> tuple[Row, ...]:
        """Return the rows with all of these labels, such as `board["RWP", "Gaussian 0.1"]`; raise `KeyError` without any."""
        asked = {labels} if isinstance(labels, str) else set(labels)
        found = tuple(row for row in self.rows if asked <= {row.method, *row.column})
        if not found:
            known = sorted({label for row in self.rows for label in (row.method, *row.column)})
            raise KeyError(f"no row has the labels {sorted(asked)}; there are {known}")
        return found

    def _repr_html_(self) -> str:
        """Return the tables of accuracies, as a notebook shows them."""
        flags = "".join(f"<p>{escape(printable(flag))}</p>" for flag in self.flags)
        return f"<p><strong>{escape(printable(self.suite))}</strong></p>{flags}{notebook_html(self.rows)}"

    def to_frame(self) -> Any:
        """Return the rows as a pandas DataFrame; raise `MissingError` where pandas is not installed (`nrbench[pandas]`)."""
        try:
            import pandas
        except ImportError:
            raise MissingError("a table for pandas needs pandas: pip install 'nrbench[pandas]'") from None
        return pandas.DataFrame([row.model_dump(mode="json") for row in self.rows])


def load(path: Path | str) -> Leaderboard:
    """Return the leaderboard of a directory of a run, or of a file leaderboard.json; raise `DataError` if there is none."""
    path = Path(path)
    content = disk.read(path / "leaderboard.json" if path.is_dir() else path)
    if content is None:
        raise DataError(f"there is no leaderboard at {path}")
    return Leaderboard.from_json(content)


def _environments(results: Iterable[Result]) -> tuple[Environment, ...]:
    judged = (result for result in results if isinstance(result, CellResult))
    seen = {each.model_dump_json(): each for result in judged for each in result.environments}
    return tuple(sorted(seen.values(), key=lambda each: each.fingerprint))


def _series(benchmark: Benchmark, store: Store) -> dict[str, list[Series]]:
    """Return what the probes of each suite measured, by its name, where there is a claim that it could be evidence of."""
    return {part.name: list(series_of(part, store)) for part in benchmark.parts} if benchmark.claims else {}


Printed = Mapping[str, Sequence[Row]] | None


def _views(benchmark: Benchmark, rows: Sequence[Row]) -> Iterator[tuple[Benchmark, list[Row], Printed]]:
    """Yield every part and then, for a collection, all parts together, with its rows of each selection and BatchNorm.

    The third is what was printed, by table; None where there is no reference.
    """
    for each in (*benchmark.parts, *([benchmark] if isinstance(benchmark, Collection) else [])):
        if not (each.tables or each.claims):
            continue
        own = {position for part in each.parts for position in part.rows}
        mine = [row for row in rows if (row.column, row.method) in own]
        printed = _printed(each)
        for selection, mode in dict.fromkeys((row.selection, row.batch_norm) for row in mine):
            yield each, [row for row in mine if (row.selection, row.batch_norm) == (selection, mode)], printed


def _tables(benchmark: Benchmark, rows: Sequence[Row], printed: Printed, level: float) -> Iterator[PivotTable]:
    sections = {field: benchmark.section(section) for section, field in FIELDS.items()}
    for table in benchmark.tables:
        beside = (printed or {}).get(table.reference, ())
        yield pivoted(table, rows, suite=benchmark.name, sections=sections, printed=beside, level=level)


def _printed(benchmark: Benchmark) -> Printed:
    """Return the printed numbers of the reference; None where there is none, or its file is gone."""
    try:
        return None if benchmark.reference is None else benchmark.reference.tables
    except DataError as error:
        log.warning("no printed numbers stand beside: %s", error)
        return None


def _flags(suite: Suite, rows: Sequence[Row], environments: Sequence[Environment], results: Results) -> Iterator[str]:
    if any(row.status != "ok" for row in rows):
        yield "some cells have no result"
    if len(environments) > 1:
        yield "mixed environments"
    if suite.seed_count < 3:
        yield "fewer than 3 seeds"
    yield from (f"{label}: {dataset.caveat}" for label, dataset in suite.datasets.items() if dataset.caveat)
    yield from (f"{label}: trained elsewhere" for label, method in suite.methods.items() if not method.trains)
    yield from _unexpected(suite, results)
    yield from _alike(suite, results)
    for label, selection in suite.selections.items():
        if any(chosen_on(selection, noise) == "test" for noise in suite.noise.values()):
            yield f"{label}: selected on test"


def _alike(suite: Suite, results: Results) -> Iterator[str]:
    """Yield a flag for each network whose seeds begin with the same weights, so that they differ in their batches alone."""
    starts: dict[str, dict[str, set[int]]] = {}
    for column, label in suite.rows:
        for seed, result in enumerate(results[column, label]):
            if isinstance(result, CellResult) and result.start is not None:
                starts.setdefault(column.backbone, {}).setdefault(result.start, set()).add(seed)
    for backbone, seeds in starts.items():
        if any(len(each) > 1 for each in seeds.values()):
            yield f"{backbone}: several seeds begin with the same weights"


def _unexpected(suite: Suite, results: Results) -> Iterator[str]:
    """Yield a flag for weights whose clean accuracy is not the one that was measured where they come from."""
    for column, label in suite.rows:
        expected = suite.methods[label].expected
        if expected is None or column.batch_norm != "frozen":
            continue
        for result in results[column, label]:
            if isinstance(result, CellResult):
                clean = 100 * result.clean_correct / result.images
                error = 1.96 * sqrt(max(expected * (100 - expected), 1) / result.images)
                if abs(clean - expected) > error:
                    yield (
                        f"{label}: {clean:.2f} % without noise on {column.dataset}, where {expected:g} % was expected "
                        f"(±{error:.2f}): are the images, their normalisation and the network the same?"
                    )
