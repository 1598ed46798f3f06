"""Whether a suite asks for what it has, such as rows, weights and held-out images, and suites of a collection agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product

from nrbench.base.component import canonical
from nrbench.base.errors import Mark, Problem, did_you_mean
from nrbench.families.row import Row, RowFilter, chooses, covered, matches
from nrbench.families.schedule import PLACES
from nrbench.families.selection import chosen_on
from nrbench.suite.recipe import Recipe
from nrbench.suite.seeds import GrowingSeeds
from nrbench.suite.suite import SECTIONS, Benchmark, MethodPair, Suite
from nrbench.suite.table import FIELDS, Pivot, expanded
from nrbench.suite.yaml import Node, Path_, dotted


def table_problems(benchmark: Benchmark, root: Node) -> Iterator[Problem]:
    """Yield what the tables of a suite or collection ask for that is not there, or that is more than one number."""
    if not benchmark.tables:
        return
    columns = {
        (column.backbone, column.dataset, column.noise, method)
        for part in benchmark.parts
        for column in part.columns()
        for method in part.methods
    }
    rows = [
        Row(method=method, backbone=backbone, dataset=dataset, noise=noise, status="incomplete")
        for backbone, dataset, noise, method in sorted(columns)
    ]
    sections = {field: list(benchmark.section(section)) for section, field in FIELDS.items()}
    tables = set(benchmark.reference.tables) if benchmark.reference else set()
    for index, pivot in enumerate(benchmark.tables):
        path: Path_ = ("tables", index)
        found = list(_unmatched(pivot, path, sections, root))
        yield from found or _ambiguous(pivot, path, sections, rows, root)
        if pivot.reference and pivot.reference not in tables:
            where = (*path, "reference")
            hint = did_you_mean(pivot.reference, sorted(tables)) if tables else "say `reference: {file: ...}`"
            yield Problem(root.locate(where), dotted(where), f"the reference has no table {pivot.reference!r}", hint)


def _unmatched(pivot: Pivot, path: Path_, sections: Mapping[str, Sequence[str]], root: Node) -> Iterator[Problem]:
    filters: list[tuple[Path_, RowFilter]] = [((*path, "under"), pivot.under)]
    filters += [((*path, side, i), axis) for side in ("rows", "columns") for i, axis in enumerate(getattr(pivot, side))]
    for where, each in filters:
        asked = {field: getattr(each, field) for field in RowFilter.model_fields} | {"each": getattr(each, "each", ())}
        for field, patterns in asked.items():
            known = sections.get("method" if field == "best_of" else field) or sorted(set().union(*sections.values()))
            for pattern in (pattern for pattern in patterns if not any(matches([pattern], label) for label in known)):
                message = f"no {field.replace('_', ' ').replace('each', 'label')} here is {pattern!r}"
                yield Problem(
                    root.locate((*where, field)), dotted((*where, field)), message, did_you_mean(pattern, known)
                )


def _ambiguous(
    pivot: Pivot, path: Path_, sections: Mapping[str, Sequence[str]], rows: Sequence[Row], root: Node
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


def contradictions(suite: Suite, root: Node) -> Iterator[Problem]:
    """Yield what parts of a suite say against each other."""
    path: Path_
    if suite.report.baseline is not None and suite.report.baseline not in suite.methods:
        hint = did_you_mean(suite.report.baseline, list(suite.methods))
        mark = root.locate(("report", "baseline"))
        yield Problem(mark, "report.baseline", f"no method is labelled {suite.report.baseline!r}", hint)
    for index, pair in enumerate(suite.report.resolve or ()):
        yield from _unknown_pair(pair, ("report", "resolve", index), suite, root)
    for label, probe in suite.probes.items():
        if probe.every > max(suite.recipe.epochs, 1):
            path = ("probes", label, "every")
            message = f"it would be measured every {probe.every} of {suite.recipe.epochs} epochs"
            yield Problem(root.locate(path), dotted(path), message)
        for epochs, trained in _durations(suite).items():
            if epochs and not any(probe.due(epoch, epochs) for epoch in range(1, epochs + 1)):
                path = ("probes", label)
                message = f"it would be measured after none of the {epochs} epochs of {trained}"
                yield Problem(root.locate(path), dotted(path), message)
    for label, method in suite.methods.items():
        if method.seeds is not None and method.seeds < suite.seed_count:
            path = ("methods", label)
            message = f"there are weights for {method.seeds} of {suite.seed_count} seeds"
            yield Problem(root.locate(path), dotted(path), message, "give a file for each, or ask for fewer")
        try:
            suite.recipe.passes_of(method)
            suite.recipe.for_method(method)
        except Exception as error:  # whatever a method of somebody else's says of its passes
            yield Problem(root.locate(("methods", label)), dotted(("methods", label)), str(error))
    if not any(suite.recipe.lr_schedule(number / PLACES) for number in range(PLACES)):
        mark = root.locate(("recipe", "lr_schedule"))
        yield Problem(
            mark, "recipe.lr_schedule", "the learning rate is 0 in every step, so that nothing would be trained"
        )
    if suite.recipe.held_out == 0 and not any(dataset.may_validate for dataset in suite.datasets.values()):
        for label in validated_by(suite):
            path = ("selections", label, "on")
            message = "there is no validation set: recipe.held_out is 0"
            yield Problem(root.locate(path), dotted(path), message, "hold some out, or choose on test")


def _durations(suite: Suite) -> dict[int, str]:
    """Return for how many epochs methods train, with one that does; what cannot be planned is left out."""
    found: dict[int, str] = {}
    for label, method in suite.methods.items():
        with suppress(Exception):  # said of the method itself
            found.setdefault(suite.recipe.for_method(method).epochs if method.trains else 0, label)
    return found


def figure_problems(benchmark: Benchmark, root: Node) -> Iterator[Problem]:
    """Yield what figures and claims ask for and the suite, or no suite of the collection, has."""
    yield from _unknown_numbers(benchmark, root)
    for label, figure in benchmark.figures.items():
        for section, pattern, field in figure.asked():
            known = list(benchmark.section(section))
            if not any(matches([pattern], other) for other in known):
                path: Path_ = ("figures", label, *field.split("."))
                hint = did_you_mean(pattern, known)
                yield Problem(root.locate(path), dotted(path), f"there is no {pattern!r} under {section}", hint)


def _unknown_numbers(benchmark: Benchmark, root: Node) -> Iterator[Problem]:
    """Yield the probes that claims ask for and that there are not, and the numbers that a probe does not measure."""
    probes = benchmark.section("probes")
    for label, claim in benchmark.claims.items():
        for asked, number, field in claim.probed():
            path: Path_ = ("claims", label, *field.split("."))
            if asked not in probes:
                hint = did_you_mean(asked, list(probes))
                yield Problem(root.locate(path), dotted(path), f"there is no probe {asked!r}", hint)
                continue
            names = getattr(probes[asked], "numbers", ())
            if names and number not in names:
                hint = did_you_mean(number, names) or f"there are {', '.join(names)}"
                message = f"{asked!r} does not measure {number!r}"
                yield Problem(root.locate(path), dotted(path), message, hint)


def _unknown_pair(pair: MethodPair, path: Path_, suite: Suite, root: Node) -> Iterator[Problem]:
    mark = root.locate(path)
    if not isinstance(suite.seeds, GrowingSeeds):
        hint = "write seeds: {from: 3, to: 10, until: resolved}"
        yield Problem(mark, dotted(path), f"nothing is added to tell them apart: there are {suite.seeds} seeds", hint)
    if len(set(pair.methods)) < len(pair.methods):
        yield Problem(mark, dotted(path), f"it compares {pair.methods[0]!r} with itself, which is never different")
    for label in (label for label in pair.methods if label not in suite.methods):
        yield Problem(mark, dotted(path), f"no method is labelled {label!r}", did_you_mean(label, list(suite.methods)))
    for pattern in (pattern for pattern in pair.noise if not any(matches([pattern], label) for label in suite.noise)):
        yield Problem(mark, dotted(path), f"no noise here is {pattern!r}", did_you_mean(pattern, list(suite.noise)))


def validated_by(suite: Suite) -> Iterator[str]:
    """Yield the labels of the selections that choose epochs on a validation set."""
    noise = next(iter(suite.noise.values()))
    for label, selection in suite.selections.items():
        if chosen_on(selection, noise) == "validation":
            yield label


def collisions(suites: Sequence[Suite], index: int, marks: Sequence[Mark]) -> Iterator[Problem]:
    """Yield what a suite says otherwise than one that is included before it."""
    suite, mark = suites[index], marks[index]
    if suite.name in {other.name for other in suites[:index]}:
        yield Problem(mark, f"include.{index}", f"two suites here are named {suite.name}")
    for field in ("seeds", "draws", "selections"):
        if canonical(getattr(suite, field)) != canonical(getattr(suites[0], field)):
            yield Problem(mark, f"include.{index}", f"{suite.name} has other {field} than {suites[0].name}")
    for other in suites[:index]:
        for section in SECTIONS:
            mine, theirs = getattr(suite, section), getattr(other, section)
            for label in (label for label in mine if label in theirs and mine[label] != theirs[label]):
                message = f"{label!r} is not the same in {suite.name} as in {other.name}: name in one what differs"
                yield Problem(mark, f"include.{index}.{section}", message)
        mine, theirs = _recipes(suite), _recipes(other)
        if unlike := [labels for labels in mine if labels in theirs and mine[labels] != theirs[labels]]:
            what = ", ".join(min(unlike))
            message = f"{suite.name} trains {what} by another recipe than {other.name}: name in one what differs"
            yield Problem(mark, f"include.{index}.recipe", message)


def _recipes(suite: Suite) -> dict[tuple[str, str, str], Recipe]:
    """Return the recipe of each method, backbone and data set."""
    own = {label: suite.recipe.for_method(method) for label, method in suite.methods.items()}
    return {labels: own[labels[0]] for labels in product(suite.methods, suite.backbones, suite.datasets)}
