"""Submissions: a row of a study as a bundle that anybody can judge again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel

from nrbench.base import disk
from nrbench.base.component import Component, family_of
from nrbench.base.data_file import DataFile, TableFile
from nrbench.base.errors import UsageError
from nrbench.families.registry import Registry
from nrbench.jobs.plan import LOCK
from nrbench.jobs.results import CellResult
from nrbench.jobs.store import Store
from nrbench.share import bundle
from nrbench.share.study import StudyRow, with_files
from nrbench.suite.suite import Report, Suite


def submit(row: StudyRow, target: Path, registry: Registry, *, licence: str, weights: bool) -> None:
    """Write a row as a bundle: its suite, counts and trainings and, where they are asked for, the judged weights.

    Without `weights` their SHA-256 alone is in it. Files that components name come along: tables always, others with the
    weights; images never do. Raise `UsageError` for a row that is not whole.
    """
    suite = suite_of(row)
    cells = list(suite.cells())
    with TemporaryDirectory(prefix="nrbench-") as name:
        folder = Path(name)
        store = Store(folder / "store")
        for cell in cells:
            result, key = row.study.store.result_of(cell), cell.training.key
            if not isinstance(result, CellResult):
                what = "no result" if result is None else result.status
                raise UsageError(f"{row.method} under {row.column.noise}, seed {cell.training.seed}, has {what}")
            store.put(cell.key, result)
            store.training(key).take(row.study.store.training(key), weights={result.epoch} if weights else ())
        (dataset,) = suite.datasets.values()
        store.take_data(row.study.store, dataset.fingerprint)
        for file in _files(suite, weights=weights):
            disk.write(folder / "files" / file.sha256, file.read())
        document = with_files(json.loads(suite.lock()), lambda file: Path(str(file["path"])).name)  # paths are private
        disk.write(folder / LOCK, json.dumps(document, indent=2).encode() + b"\n")
        components = list(dict.fromkeys(_components(suite)))
        owners = {entry.component: entry.plugin for entry in registry.entries}
        bundle.write(
            folder,
            target,
            row={"suite": suite.name, **row.column._asdict(), "method": row.method},
            seeds=suite.seed_count,
            licence=licence,
            components={_named(each): each.version for each in components},
            distributions={
                owner.distribution: owner.version for each in components if (owner := owners.get(each)) is not None
            },
        )


def suite_of(row: StudyRow) -> Suite:
    """Return the suite of one row alone; its cells have the same keys."""
    part, column = row.part, row.column
    return part.replace(
        probes={},
        tables=(),
        claims={},
        figures={},
        reference=None,
        report=Report(),
        datasets={column.dataset: part.datasets[column.dataset]},
        backbones={column.backbone: part.backbones[column.backbone]},
        selections={column.selection: part.selections[column.selection]},
        methods={row.method: part.methods[row.method]},
        noise={column.noise: part.noise[column.noise]},
        evaluation=part.evaluation.replace(batch_norm=column.batch_norm),
    )


def _models(value: object) -> Iterator[BaseModel]:
    """Yield every model that is in a value, at any depth."""
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from _models(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _models(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _models(item)


def _components(suite: Suite) -> Iterator[type[Component]]:
    return (type(model) for model in _models(suite) if isinstance(model, Component))


def _named(component: type[Component]) -> str:
    family = family_of(component)
    return f"{family._family if family else ''}/{component.leaf_name()}"


def _files(suite: Suite, *, weights: bool) -> Iterator[DataFile]:
    """Yield the files that come along, each once."""
    images = {model.sha256 for model in _models(suite.datasets) if isinstance(model, DataFile)}
    files = {model.sha256: model for model in _models(suite) if isinstance(model, DataFile)}
    for sha256, file in files.items():
        if sha256 not in images and (weights or isinstance(file, TableFile)):
            yield file
