"""JSON Schemas of what people write, for the plugins that are installed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nrbench.base.component import Component
from nrbench.families.registry import Registry
from nrbench.suite.suite import Suite

JsonSchema = dict[str, Any]

_SWEEP: JsonSchema = {
    "type": "object",
    "description": "One row for each of these values.",
    "properties": {"sweep": {"type": "array", "minItems": 1}},
    "required": ["sweep"],
    "additionalProperties": False,
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def suite_schema(registry: Registry) -> JsonSchema:
    """Return the schema of a suite file; where a family is expected, every component of it is listed by its name.

    A suite that extends or includes others may leave out, change in part or delete anything, so there only the sections
    are known.
    """
    strict = Suite.model_json_schema()
    layers = {"extends": {"type": "string"}, "include": {"type": "array", "items": {"type": "string"}, "minItems": 1}}
    strict["properties"] |= dict.fromkeys(layers, False)
    sections = dict.fromkeys(Suite.model_fields, True)
    loose = {"properties": {**layers, **sections}, "additionalProperties": False}
    definitions = strict.pop("$defs", {})
    layered = {"anyOf": [{"required": [layer]} for layer in layers]}
    document = {"if": layered, "then": loose, "else": strict}
    return _whole({"title": "Suite", "type": "object", "$defs": definitions, **document}, registry)


def component_schema(component: type[Component], registry: Registry) -> JsonSchema:
    """Return the schema of one component as it is written in a suite."""
    return _whole(component.model_json_schema(), registry)


def _whole(schema: JsonSchema, registry: Registry) -> JsonSchema:
    definitions: JsonSchema = schema.pop("$defs", {})
    for kind, family in registry.families.items():
        leaves = [entry.component for entry in registry.of_kind(kind)]
        definitions[family.__name__] = {"anyOf": [*_leaves(leaves, definitions), {"$ref": "#/$defs/Sweep"}]}
    definitions["Sweep"] = _SWEEP
    whole: JsonSchema = _linked({"$schema": DIALECT, **schema, "$defs": definitions})
    return whole


def _leaves(components: Iterable[type[Component]], definitions: JsonSchema) -> Iterable[JsonSchema]:
    for component in components:
        leaf = component.model_json_schema()
        definitions |= {name: _swept(part) for name, part in leaf.pop("$defs", {}).items()}
        yield _swept(leaf) | {"required": ["name", *leaf.get("required", ())]}


def _swept(model: JsonSchema) -> JsonSchema:
    """Return the schema of a model in which a sweep may stand in the place of each value."""
    fields = {
        name: field if name == "name" else {"anyOf": [field, {"$ref": "#/$defs/Sweep"}]}
        for name, field in model.get("properties", {}).items()
    }
    return model | {"properties": fields} if fields else model


def _linked(value: Any) -> Any:
    """Return a schema in which each mark of a family refers to its definition."""
    if isinstance(value, dict):
        if set(value) - {"description", "title", "default"} == {"family"}:
            rest = {key: item for key, item in value.items() if key not in ("family", "title")}
            return {"$ref": f"#/$defs/{value['family']}"} | rest
        return {key: _linked(item) for key, item in value.items()}
    return [_linked(item) for item in value] if isinstance(value, list) else value
