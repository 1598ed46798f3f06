"""Merging: the studies of several people as one, with one board, or in what they are not alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from nrbench.base import disk
from nrbench.base.component import canonical
from nrbench.base.errors import UsageError
from nrbench.families.registry import Registry
from nrbench.jobs.plan import LOCK
from nrbench.jobs.results import CellFailure, CellResult
from nrbench.jobs.store import Store
from nrbench.report.runner import write_lock
from nrbench.share.study import Study, with_files
from nrbench.suite.locked import locked_suite
from nrbench.suite.suite import SECTIONS, Benchmark, Collection, Suite, SuiteName

ALIKE = ("seeds", "draws")
"""What has to be the same in all suites of a study, beside the recipe of what they both train."""
Results = Mapping[str, tuple[CellResult | CellFailure, Study]]
"""What is known of each cell, by its key, and from which study."""


def merged(studies: Sequence[Study], out: Path, registry: Registry, *, name: str) -> Benchmark:
    """Bring studies together under a directory of results: their union as a suite, locked, and what is stored of it.

    Suites become one with the methods, noise models, networks and data sets of all; of collections, those of the same name.
    Raise `UsageError` where a label does not mean the same, the protocol, the images or the versions differ, or two results
    of one cell do, also those that are in the directory already; nothing is written then.
    """
    try:
        TypeAdapter(SuiteName).validate_python(name)
    except ValidationError as error:
        raise UsageError(f"{name!r} is no name for a study: {error.errors(include_url=False)[0]['msg']}") from None
    for study in studies:
        study.check_versions(registry)
    benchmark, store, folder = _union(studies, name), Store(out / "store"), out / name
    disk.check_no_links(folder, store.root, folder / "figures", folder / "files")
    results = _results(studies)
    _check_images(studies, store)
    for key, (result, study) in results.items():
        there = store.result(key)
        if isinstance(there, CellResult) and isinstance(result, CellResult) and not _same(there, result):
            raise UsageError(f"{study.origin} has another result of cell {key} than {store.root}")
    # from here on nothing is refused
    for study in studies:
        for dataset in study.benchmark.section("datasets").values():
            store.take_data(study.store, dataset.fingerprint)
    for key, (result, _) in results.items():
        if not isinstance(store.result(key), CellResult):
            store.put(key, result)
    for key, study in product(benchmark.trainings(), studies):
        store.training(key).take(study.store.training(key))
    return _locked(benchmark, folder, registry)


def _results(studies: Sequence[Study]) -> Results:
    """Return the results of all cells of studies; raise `UsageError` where two differ. A failure gives way to a result."""
    found: dict[str, tuple[CellResult | CellFailure, Study]] = {}
    for study in studies:
        for cell in study.benchmark.cells():
            result, known = study.store.result_of(cell), found.get(cell.key)
            if result is None:
                continue
            if known is None or isinstance(known[0], CellFailure):
                found[cell.key] = result, study
            elif isinstance(result, CellResult) and not _same(known[0], result):
                labels = study.benchmark.trainings()[cell.training.key]
                raise UsageError(f"{labels}: {known[1].origin} and {study.origin} have different results of it")
    return found


def _same(first: CellResult | CellFailure, second: CellResult) -> bool:
    """Whether two results are the same but for what depends on the machine: norms, losses, versions."""
    fields = ("status", "correct", "images", "epoch", "epochs", "clean_correct", "chosen_with", "passes_per_step")
    return all(getattr(first, field, None) == getattr(second, field) for field in fields)


def _check_images(studies: Sequence[Study], store: Store) -> None:
    """Raise `UsageError` where two studies had other images of one data set, or the directory of the results has."""
    seen: dict[str, tuple[str, str]] = {}
    for study in studies:
        for label, dataset in study.benchmark.section("datasets").items():
            for where, known in (
                (str(study.origin), study.store.data(dataset.fingerprint)),
                (str(store.root), store.data(dataset.fingerprint)),
            ):
                if known is not None and "sha256" in known:
                    sha256, first = seen.setdefault(dataset.fingerprint, (known["sha256"], where))
                    if sha256 != known["sha256"]:
                        raise UsageError(f"the images of {label} in {where} are others than those in {first}")


def _locked(benchmark: Benchmark, folder: Path, registry: Registry) -> Benchmark:
    """Lock a suite, with the files that it names and that are in a bundle kept beside it, and return what was locked."""

    def place(file: Mapping[str, object]) -> str:
        path = Path(str(file["path"]))
        if path.parent.name != "files" or not path.exists():  # it was not in a bundle
            return str(path)
        kept = folder / "files" / str(file["sha256"])
        disk.write(kept, disk.read(path) or b"")
        return str(kept)

    disk.write(folder / f"{LOCK}.new", json.dumps(with_files(json.loads(benchmark.lock()), place)).encode())
    whole = locked_suite(folder / f"{LOCK}.new", registry)
    disk.remove(folder / f"{LOCK}.new")
    write_lock(folder, whole)
    return whole


def _union(studies: Sequence[Study], name: str) -> Benchmark:
    """Return the suite or collection of all studies."""
    groups: dict[str, list[tuple[Suite, Study]]] = {}
    collected = any(isinstance(study.benchmark, Collection) for study in studies)
    for study in studies:
        for part in study.benchmark.parts:
            if not isinstance(part.seeds, int):
                raise UsageError(
                    f"the seeds of {study.origin} grow: its intervals account for its own looks and no others"
                )
            groups.setdefault(part.name if collected else name, []).append((part, study))
    parts = [_joined(group, own) for own, group in groups.items()]
    if not collected:
        return parts[0]
    for index, part in enumerate(parts[1:], start=1):
        for other in parts[:index]:
            for what in _contradictions(part, other):
                raise UsageError(f"{part.name} and {other.name} differ in {what}")
    whole = next(study.benchmark for study in studies if isinstance(study.benchmark, Collection))
    return whole.replace(name=name, suites=tuple(parts))


def _joined(group: Sequence[tuple[Suite, Study]], name: str) -> Suite:
    """Return the suite with everything that several suites have; what they say of a report is that of the first that does."""
    whole, first = group[0]
    for part, study in group[1:]:
        for what in (*_contradictions(part, whole), *_recipe(part, whole)):
            raise UsageError(f"{study.origin} and {first.origin} differ in {what}")
        sections = {section: getattr(whole, section) | _further(part, whole, section) for section in SECTIONS}
        modes = tuple(dict.fromkeys((*whole.evaluation.modes, *part.evaluation.modes)))
        telling = whole if whole.tables or whole.claims or whole.reference else part
        whole = whole.replace(
            **sections,
            evaluation=whole.evaluation.replace(batch_norm=modes if len(modes) > 1 else modes[0]),
            tables=telling.tables,
            claims=telling.claims,
            figures=whole.figures or part.figures,
            reference=telling.reference,
        )
    return whole.replace(name=name)


def _further(part: Suite, whole: Suite, section: str) -> dict[str, object]:
    return {label: each for label, each in getattr(part, section).items() if label not in getattr(whole, section)}


def _contradictions(part: Suite, other: Suite) -> Iterator[str]:
    """Yield in what two suites are not alike, by name; another recipe is none where they train nothing of the same labels."""
    for field in ALIKE:
        mine, theirs = getattr(part, field), getattr(other, field)
        if mine != theirs:
            yield f"{field}: {mine} and {theirs}"
    for section in SECTIONS:
        mine, theirs = getattr(part, section), getattr(other, section)
        for label in (label for label in mine if label in theirs and mine[label] != theirs[label]):
            yield f"what {label!r} of {section} is"
    trained = [set(product(suite.methods, suite.backbones, suite.datasets)) for suite in (part, other)]
    if trained[0] & trained[1]:
        yield from _recipe(part, other)


def _recipe(part: Suite, other: Suite) -> Iterator[str]:
    mine, theirs = canonical(part.recipe), canonical(other.recipe)
    if names := [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]:
        yield "recipe." + ", recipe.".join(names)
