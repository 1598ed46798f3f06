"""Layouts: whether the tables of a suite ask for rows that the suite has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nrbench.base.errors import Problem, did_you_mean
from nrbench.families.row import Place, chooses, covered, matches
from nrbench.suite.suite import Benchmark
from nrbench.suite.table import Pivot, expanded
from nrbench.suite.yaml import Node, Path_, dotted

FIELDS: Mapping[str, str] = {"methods": "method", "noise": "noise", "backbones": "backbone", "datasets": "dataset"}
"""The sections of a suite by the field of a place that their labels go into."""


@dataclass(frozen=True, slots=True)
class _Labels:
    """The labels of a row that the suite asks for, before there is a number for it."""

    method: str
    backbone: str
    dataset: str
    noise: str
    accuracy: None = None
    chosen_by: None = None
    noise_std: None = None
    weight_std: None = None
    seeds: int = 0


def layout_problems(benchmark: Benchmark, root: Node) -> Iterator[Problem]:
    """Yield what the tables of a suite or collection ask for that is not there, or that is more than one number."""
    if not benchmark.tables:
        return
    columns = {
        (column.backbone, column.dataset, column.noise, method)
        for part in benchmark.parts
        for column in part.columns()
        for method in part.methods
    }
    rows = [_Labels(method, backbone, dataset, noise) for backbone, dataset, noise, method in sorted(columns)]
    sections = {field: list(benchmark.section(section)) for section, field in FIELDS.items()}
    tables = {row.table for row in benchmark.reference.rows} if benchmark.reference else set()
    for index, pivot in enumerate(benchmark.tables):
        path: Path_ = ("tables", index)
        found = list(_unmatched(pivot, path, sections, root))
        yield from found or _ambiguous(pivot, path, sections, rows, root)
        if pivot.reference and pivot.reference not in tables:
            where = (*path, "reference")
            hint = did_you_mean(pivot.reference, sorted(tables)) if tables else "say `reference: {file: ...}`"
            yield Problem(root.locate(where), dotted(where), f"the reference has no table {pivot.reference!r}", hint)


def _unmatched(pivot: Pivot, path: Path_, sections: Mapping[str, Sequence[str]], root: Node) -> Iterator[Problem]:
    places: list[tuple[Path_, Place]] = [((*path, "under"), pivot.under)]
    places += [((*path, side, i), axis) for side in ("rows", "columns") for i, axis in enumerate(getattr(pivot, side))]
    for where, place in places:
        asked = {field: getattr(place, field) for field in Place.model_fields} | {"each": getattr(place, "each", ())}
        for field, patterns in asked.items():
            known = sections.get("method" if field == "best_of" else field) or sorted(set().union(*sections.values()))
            for pattern in (pattern for pattern in patterns if not any(matches([pattern], label) for label in known)):
                message = f"no {field.replace('_', ' ').replace('each', 'label')} here is {pattern!r}"
                yield Problem(
                    root.locate((*where, field)), dotted((*where, field)), message, did_you_mean(pattern, known)
                )


def _ambiguous(
    pivot: Pivot, path: Path_, sections: Mapping[str, Sequence[str]], rows: Sequence[_Labels], root: Node
) -> Iterator[Problem]:
    columns = list(expanded(pivot.columns, sections))
    for index, row in enumerate(pivot.rows):
        for line in expanded([row], sections):
            inside = covered(rows, [pivot.under, line])
            cells = [(column, covered(inside, [column])) for column in columns]
            where = (*path, "rows", index)
            if not any(found for _, found in cells):
                yield Problem(root.locate(where), dotted(where), f"the suite asks for no row of {line.label!r}")
            for column, found in cells:
                if len(found) > 1 and not chooses([pivot.under, line, column]):
                    message = f"{len(found)} rows are {line.label!r} at {column.label!r}"
                    hint = "say which, or ask for the best_of them"
                    yield Problem(root.locate(where), dotted(where), message, hint)
                    break
