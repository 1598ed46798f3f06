"""Descriptions of components, taken from their classes, for `nrbench show` and the field reference."""

from __future__ import annotations

import inspect
import json
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nrbench.base.component import Component
from nrbench.families.registry import Entry, Plugin, Registry
from nrbench.suite.shipped import shipped_suites
from nrbench.suite.yaml import load


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter: its type and default as written in a suite, and what it means."""

    name: str
    type: str
    default: str | None
    """None when it is required."""
    description: str


@dataclass(frozen=True, slots=True)
class Description:
    """All that is known of a component."""

    name: str
    kind: str
    description: str
    paper: str
    version: int
    plugin: str
    fields: tuple[Field, ...]

    def as_json(self) -> Mapping[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    def as_text(self, *, width: int) -> str:
        """Return it as text for a terminal of a width."""
        lines = [f"{self.name} ({self.kind}, from {self.plugin})", ""]
        lines += textwrap.wrap(self.description, width)
        if self.paper:
            lines += ["", *textwrap.wrap(f"Source: {self.paper}", width)]
        for field in self.fields:
            default = "required" if field.default is None else f"default {field.default or 'empty'}"
            lines += ["", *textwrap.wrap(f"{field.name}: {field.type}, {default}", width, subsequent_indent="    ")]
            lines += textwrap.wrap(field.description, width, initial_indent="    ", subsequent_indent="    ")
        return "\n".join(lines)

    def as_markdown(self, title: str) -> str:
        """Return it as a section of a page, with a table of its parameters."""
        lines = [title, "", self.description]
        if self.paper:
            lines += ["", f"Source: {self.paper}."]
        if self.fields:
            lines += ["", "| field | type | default | meaning |", "|---|---|---|---|"]
        for field in self.fields:
            default = "required" if field.default is None else f"`{field.default or 'empty'}`"
            kind, default = ("map", "see below") if field.type.startswith("{") else (field.type, default)
            cells = (f"`{field.name}`", kind, default, field.description)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join(lines)


def listed(kind: str, registry: Registry) -> Iterator[dict[str, Any]]:
    """Yield a row for each component of a kind or, for the kinds "plugins" and "suites", for each of these."""
    if kind == "suites":
        for name, path in shipped_suites().items():
            written = load(path).child("description")
            yield _row(name, kind, Plugin("core", "nrbench"), str(written.value if written else "").partition(". ")[0])
    elif kind == "plugins":
        for plugin in registry.plugins:
            count = sum(entry.plugin == plugin for entry in registry.entries)
            yield _row(plugin.name, kind, plugin, f"{count} components")
    else:
        for entry in registry.of_kind(kind):
            yield _row(entry.name, kind, entry.plugin, entry.summary)


def _row(name: str, kind: str, plugin: Plugin, summary: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "plugin": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "summary": summary,
        "status": "failed" if plugin.error else "ok",
        "error": plugin.error or None,
    }


def described(entry: Entry) -> Description:
    """Return the description of a registered component."""
    plugin = entry.plugin
    owner = f"{plugin.distribution or plugin.name} {plugin.version}".strip()
    return replace(model_description(entry.component), name=entry.name, kind=entry.kind, plugin=owner)


def model_description(model: type[BaseModel]) -> Description:
    """Return the description of a part of a suite, a component or not."""
    component = model if issubclass(model, Component) else None
    return Description(
        name=model.__name__,
        kind="",
        description=" ".join((inspect.getdoc(model) or "").split()),
        paper=component.paper if component else "",
        version=component.version if component else 1,
        plugin="",
        fields=tuple(field for field in fields_of(model) if not (component and field.name == "name")),
    )


def fields_of(model: type[BaseModel]) -> Iterator[Field]:
    """Yield the fields of a model in the order they are declared."""
    for name, info in model.model_fields.items():
        default = None if info.is_required() else _value(info.get_default(call_default_factory=True))
        yield Field(name, _type(info.annotation) + _bounds(info), default, " ".join((info.description or "").split()))


def _value(value: Any) -> str:
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    if isinstance(plain, dict):
        plain = {
            key: item.model_dump(mode="json") if isinstance(item, BaseModel) else item for key, item in plain.items()
        }
    return json.dumps(plain, ensure_ascii=False, default=str).replace('"', "")


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " | ".join(json.dumps(value).replace('"', "") for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join("null" if part is type(None) else _type(part) for part in arguments)
    if origin is tuple:
        inner = _type(arguments[0])
        return "list of maps" if inner.startswith("{") else f"list of {inner}"
    if origin is dict:
        return f"labels of {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Component) and annotation.leaf_name() is None:
        return f"component ({annotation._family})" if annotation._family else annotation.__name__
    names = {"float": "number", "int": "integer", "str": "text", "bool": "true | false", "DataFile": "path"}
    name = getattr(annotation, "__name__", str(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and name not in names:
        if issubclass(annotation, Component):
            return name
        return "{" + ", ".join(annotation.model_fields) + "}"
    return names.get(name, name)


def _bounds(info: FieldInfo) -> str:
    symbols = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(item, name):g}"
        for item in info.metadata
        for name, sign in symbols.items()
        if hasattr(item, name)
    ]
    return f" {' and '.join(found)}" if found else ""
