"""Reading: a YAML file turned into a suite, or into all that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from nrbench.base.component import Component, parameter
from nrbench.base.data_file import DataFile
from nrbench.base.errors import DataError, Problem, SuiteError, did_you_mean
from nrbench.families.registry import Registry
from nrbench.suite.check import collisions, contradictions, figure_problems, table_problems
from nrbench.suite.layers import Layers, layered
from nrbench.suite.suite import SECTIONS, Benchmark, Collection, Suite
from nrbench.suite.sweeps import count, sweeps, variants
from nrbench.suite.trial import problems as trial_problems
from nrbench.suite.yaml import Node, Path_, dotted, parse

MAX_ROWS = 10_000
"""Rows that the sweeps of one label may make."""
MOST_PROBLEMS = 200


def load_suite(
    path: str | Path, registry: Registry, *, settings: Sequence[str] = (), data: Path | None = None
) -> Benchmark:
    """Return the suite or the collection in a file, with `settings` such as "recipe.epochs=1" laid over it.

    With a directory of `data` its networks are tried on its images too: see `troubles`. Raise `SuiteError` with every
    mistake in it, each at its file, line and column.
    """
    layers = layered(Path(path), settings=settings)
    benchmark = _collection(layers, registry) if layers.included else _Reader(layers.root, registry).suite()
    if data is not None:
        problems = trial_problems(benchmark, layers.included or [layers.root], data)
        if problems and all(problem.path.startswith("datasets") for problem in problems):
            raise DataError("\n".join(map(str, problems)))
        if problems:
            raise SuiteError(problems)
    return benchmark


def _collection(layers: Layers, registry: Registry) -> Collection:
    suites: list[Suite] = []
    problems: list[Problem] = []
    for root in layers.included:
        try:
            suites.append(_Reader(root, registry).suite())
        except SuiteError as error:
            problems += error.problems
    if problems:
        raise SuiteError(problems)
    problems += [problem for index in range(1, len(suites)) for problem in collisions(suites, index, layers.marks)]
    fields = layers.root.plain() | {"suites": suites}
    try:
        collection = Collection.model_validate(fields, context={"registry": registry})
    except ValidationError as error:
        raise SuiteError([*problems, *_problems(error, layers.root, (), model=Collection, registry=registry)]) from None
    problems += table_problems(collection, layers.root)
    problems += figure_problems(collection, layers.root)
    if problems:
        raise SuiteError(problems)
    return collection


def written_component(text: str, origin: str) -> Node:
    """Return a component written as a name or as a map, such as "{name: processes, jobs: 4}", always as a map.

    Raise `SuiteError` where it is neither; `origin` is the flag that it was given with.
    """
    node = parse(text, f"{origin} {text}")
    if isinstance(node.value, str):
        return Node({"name": node}, node.mark)
    if not isinstance(node.value, dict) or "name" not in node.value:
        raise SuiteError([Problem(node.mark, "", "expected a name, or a map with a name")])
    return node


def read_component(
    family: type[Component], node: Node, registry: Registry, *, over: Mapping[str, Any] = MappingProxyType({})
) -> Any:
    """Return the component of a family that a map makes, with other values laid over it.

    Raise `SuiteError` with everything that is wrong with it.
    """
    try:
        fields = node.plain() | dict(over)
        return TypeAdapter(family).validate_python(fields, context={"registry": registry})
    except ValidationError as error:
        raise SuiteError(_problems(error, node, (), model=family, registry=registry)) from None


@dataclass(frozen=True, slots=True)
class _Reader:
    root: Node
    registry: Registry

    def suite(self) -> Suite:
        problems: list[Problem] = []
        sections: dict[str, dict[str, Component]] = {}
        for section, family in SECTIONS.items():
            if section in self.root.value:
                sections[section] = self._section(section, family, self.root.value[section], problems)
        rest = Node({k: v for k, v in self.root.value.items() if k not in sections}, self.root.mark)
        for path, sweep in sweeps(rest):
            problems.append(Problem(sweep.mark, dotted(path), "sweeps are for components, not for this"))
        fields: dict[str, Any] = rest.plain() | sections
        try:
            suite = Suite.model_validate(fields, context={"registry": self.registry})
        except ValidationError as error:
            broken = {problem.path.partition(".")[0] for problem in problems}
            found = _problems(error, self.root, (), model=Suite, registry=self.registry)
            raise SuiteError(problems + [p for p in found if p.path.partition(".")[0] not in broken]) from None
        problems += contradictions(suite, self.root)
        problems += table_problems(suite, self.root)
        problems += figure_problems(suite, self.root)
        if problems:
            raise SuiteError(problems)
        return suite

    def _section(
        self, section: str, family: type[Component], node: Node, problems: list[Problem]
    ) -> dict[str, Component]:
        components: dict[str, Component] = {}
        left = MAX_ROWS
        if not isinstance(node.value, dict):
            problems.append(Problem(node.mark, section, "expected labels, each with a component"))
            return components
        for label, child in node.value.items():
            if not label.isprintable() or not label.strip():
                problems.append(Problem(child.key or child.mark, section, f"the label {label!r} cannot be printed"))
                continue
            empty = [(path, sweep) for path, sweep in sweeps(child) if not _items(sweep)]
            for path, sweep in empty:
                problems.append(Problem(sweep.mark, dotted((section, label, *path)), "a sweep needs a list of values"))
            rows = 0 if empty else count(child)
            left -= rows
            if left < 0:
                message = f"its sweeps make {rows:,} rows, and with those before more than {MAX_ROWS:,}"
                problems.append(Problem(child.mark, dotted((section, label)), message))
                break
            for variant in variants(child) if rows else ():
                try:
                    component = self._component(family, variant)
                    full = self._label(label, child, component)
                except ValidationError as error:
                    problems += _problems(error, variant, (section, label), model=family, registry=self.registry)
                except _LabelError as error:
                    problems.append(Problem(child.key or child.mark, dotted((section, label)), str(error)))
                except Exception as error:  # of a plugin's own validation
                    message = f"{type(error).__name__}: {error}"
                    problems.append(Problem(child.mark, dotted((section, label)), message))
                else:
                    if full in components:
                        message = f"the label {full!r} is taken; name in it what differs"
                        problems.append(Problem(child.key or child.mark, dotted((section, label)), message))
                    components[full] = component
        return components

    def _component(self, family: type[Component], node: Node) -> Component:
        context = {"registry": self.registry}
        component: Component = TypeAdapter(family).validate_python(node.plain(), context=context)
        _ = component.fingerprint  # raises for a field that no key can be made of
        return component

    def _label(self, label: str, node: Node, component: Component) -> str:
        named = [match.group(1) for match in _FIELD.finditer(label)]
        for path, _ in sweeps(node):
            field = dotted(path)
            if field and not any(name == field or name.startswith(f"{field}.") for name in named):
                raise _LabelError(f"the label does not say the swept {field}: write '{label} {{{field}}}', say")
        return render_label(label, component)


class _LabelError(Exception):
    """A label that cannot be made out."""


_FIELD = re.compile(r"\{([A-Za-z_][\w.]*)\}")


def render_label(label: str, component: Component) -> str:
    """Return the label with each {dotted.field} replaced by the component's value of it."""

    def value_of(match: re.Match[str]) -> str:
        try:
            return _shown(match.group(), parameter(component, match.group(1)))
        except LookupError as error:
            raise _LabelError(str(error.args[0])) from None

    return _FIELD.sub(value_of, label)


def _shown(field: str, value: Any) -> str:
    if isinstance(value, DataFile):
        return Path(value.path).stem
    if isinstance(value, Component):
        return value.name
    if isinstance(value, BaseModel):
        raise _LabelError(f"{field} is a map; name one of its fields: {', '.join(type(value).model_fields)}")
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return repr(value) if isinstance(value, float) and float(short) != value else short  # all digits that tell it apart


def _items(sweep: Node) -> list[Node]:
    values = sweep.value["sweep"].value
    return values if isinstance(values, list) else []


_SENTENCES = {
    "missing": "it is required",
    "too_short": "at least one is needed",
    "tuple_type": "expected a list",
    "dict_type": "expected a map",
    "union_tag_not_found": "it needs a name: one of {discriminator}",
    "union_tag_invalid": "{tag!r} is none of {expected_tags}",
    "string_pattern_mismatch": "expected lower-case letters, digits, - and _, a letter first",
}
"""Sentences for those of pydantic's that speak of Python."""


def _problems(
    error: ValidationError, node: Node, prefix: Path_, *, model: type[BaseModel], registry: Registry
) -> Iterator[Problem]:
    plain, details = node.plain(), error.errors(include_url=False)
    if len(details) > MOST_PROBLEMS:
        yield Problem(
            node.mark, dotted(prefix), f"it has {len(details):,} mistakes; the first {MOST_PROBLEMS} are shown"
        )
    for detail in details[:MOST_PROBLEMS]:
        location = tuple(step for step in detail["loc"] if step != "[key]")
        kind = detail["type"]
        mark = node.locate(location, key=kind == "extra_forbidden" or "[key]" in detail["loc"])
        message, _, hint = detail["msg"].partition("; ")
        if kind in _SENTENCES:
            message, hint = _SENTENCES[kind].format(**detail.get("ctx", {})), ""
        elif kind in ("float_type", "int_type") and isinstance(detail["input"], list):
            hint = "for a row for each value write {sweep: [...]}"
        elif kind in ("value_error", "assertion_error"):
            message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
        elif kind == "extra_forbidden":
            fields = _fields_at(model, plain, location[:-1], registry)
            if issubclass(model, Benchmark) and len(location) == 1:
                fields += ["extends", "include"]
            message, hint = (
                "there is no such field",
                did_you_mean(location[-1], fields) or f"there are {', '.join(fields)}",
            )
        path = node.known(location) if kind != "missing" else (*node.known(location[:-1]), location[-1])
        yield Problem(mark, dotted((*prefix, *path)), message, hint)


def _fields_at(kind: Any, value: Any, path: Path_, registry: Registry) -> list[str]:
    """Return the names of the fields that the model at `path` inside a value of type `kind` has."""
    if path and get_origin(kind) is dict and isinstance(value, dict):  # labels
        return _fields_at(get_args(kind)[1], value.get(path[0]), path[1:], registry)
    if path and isinstance(path[0], int) and isinstance(value, list):
        return _fields_at(kind, value[path[0]], path[1:], registry)
    if not isinstance(value, dict):  # the step is the tag that pydantic adds for a union
        return _fields_at(kind, value, path[1:], registry) if path else []
    options = [
        registry.find(model, value.get("name")) if issubclass(model, Component) and model.leaf_name() is None else model
        for model in _models(kind)
    ]
    named = [m for m in options if "name" not in m.model_fields or m.model_fields["name"].default == value.get("name")]
    model = max(named or options, key=lambda option: len(set(value) & set(option.model_fields)), default=None)
    if model is None or not path:
        return list(model.model_fields) if model else []
    if path[0] in model.model_fields:
        return _fields_at(model.model_fields[str(path[0])].annotation, value[path[0]], path[1:], registry)
    return _fields_at(kind, value, path[1:], registry)


def _models(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in _models(part)]
