"""Merging: the studies of several people as one, with one board, or in what they are not alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from nrbench.base import disk
from nrbench.base.component import Name, canonical
from nrbench.base.errors import UsageError
from nrbench.families.registry import Registry
from nrbench.jobs.results import CellResult
from nrbench.jobs.store import Store
from nrbench.report.runner import write_lock
from nrbench.share.study import Study
from nrbench.suite.suite import SECTIONS, Benchmark, Collection, Suite

ALIKE = ("recipe", "seeds", "draws")
"""What has to be the same in suites that become one."""


def merged(studies: Sequence[Study], out: Path, registry: Registry, *, name: str) -> Benchmark:
    """Bring studies together under a directory of results: their union as a suite, locked, and what is stored of it.

    Suites become one with the methods, noise models, networks and data sets of all; of collections, those of the same name.
    Raise `UsageError` where a label does not mean the same, the protocol, the images or the versions differ, or two results
    of one cell do; nothing is written then.
    """
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise UsageError(f"{name!r} is no name: lower-case letters, digits, - and _, a letter first") from None
    for study in studies:
        study.check_versions(registry)
    benchmark = _union(studies, name)
    results: dict[str, CellResult] = {}
    origins: dict[str, Study] = {}
    for study in studies:
        for cell in study.benchmark.cells():
            found = study.store.result_of(cell)
            if not isinstance(found, CellResult):
                continue
            known = results.get(cell.key)
            if known is not None and known != found:
                labels = study.benchmark.trainings()[cell.training.key]
                raise UsageError(
                    f"{labels}: {origins[cell.key].origin} and {study.origin} have different results of it"
                )
            results[cell.key], origins[cell.key] = found, study
    images = _images(studies)
    store, folder = Store(out / "store"), out / benchmark.name
    disk.check_no_links(folder, store.root, folder / "figures")
    for fingerprint, known_images in images.items():
        store.same_data(fingerprint, known_images["sha256"], images=int(known_images.get("images", 0)))
    for cell in benchmark.cells():
        if cell.key in results:
            store.put(cell.key, results[cell.key])
            store.training(cell.training.key).take(origins[cell.key].store.training(cell.training.key))
    write_lock(folder, benchmark)
    return benchmark


def _union(studies: Sequence[Study], name: str) -> Benchmark:
    """Return the suite or collection of all studies."""
    groups: dict[str, list[tuple[Suite, Study]]] = {}
    collected = any(len(study.benchmark.parts) > 1 for study in studies)
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
    """Return the suite with everything that several suites have."""
    whole, first = group[0]
    for part, study in group[1:]:
        for what in _contradictions(part, whole):
            raise UsageError(f"{study.origin} and {first.origin} differ in {what}")
        sections = {section: getattr(whole, section) | getattr(part, section) for section in SECTIONS}
        modes = tuple(dict.fromkeys((*whole.evaluation.modes, *part.evaluation.modes)))
        whole = whole.replace(
            **sections,
            evaluation=whole.evaluation.replace(batch_norm=modes if len(modes) > 1 else modes[0]),
            tables=whole.tables or part.tables,
            claims=whole.claims | part.claims,
            reference=whole.reference or part.reference,
        )
    return whole.replace(name=name)


def _contradictions(part: Suite, other: Suite) -> Iterator[str]:
    """Yield in what two suites are not alike, by name."""
    for field in ALIKE:
        mine, theirs = canonical(getattr(part, field)), canonical(getattr(other, field))
        if mine == theirs:
            continue
        if isinstance(mine, dict):
            names = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
            yield f"{field}." + f", {field}.".join(names)
        else:
            yield f"{field}: {mine} and {theirs}"
    for section in SECTIONS:
        mine, theirs = getattr(part, section), getattr(other, section)
        for label in (label for label in mine if label in theirs and mine[label] != theirs[label]):
            yield f"what {label!r} of {section} is"


def _images(studies: Sequence[Study]) -> dict[str, dict[str, str]]:
    """Return what is known of the images of every data set; raise `UsageError` where two studies had others."""
    found: dict[str, tuple[dict[str, str], Study]] = {}
    for study in studies:
        for label, dataset in study.benchmark.section("datasets").items():
            known = study.store.data(dataset.fingerprint)
            if known is None:
                continue
            before, first = found.setdefault(dataset.fingerprint, (known, study))
            if before.get("sha256") != known.get("sha256"):
                raise UsageError(f"the images of {label} in {study.origin} are others than those in {first.origin}")
    return {fingerprint: known for fingerprint, (known, _) in found.items()}
