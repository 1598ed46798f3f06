"""Checks of every component."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nrbench.base.component import Component
from nrbench.families.registry import Entry, Plugin, Registry, load_registry


def check_survives_json(component: Component) -> None:
    """Written as JSON and read again it is equal and has the same fingerprint."""
    again = type(component).model_validate_json(
        component.model_dump_json(), context={"registry": registry_with(component)}
    )
    assert again == component, "read from its own JSON it is another component"
    assert again.fingerprint == component.fingerprint, "read from its own JSON it has another key"


def check_is_described(component: Component) -> None:
    """Its own class, not the family that it belongs to, says in a docstring what it is."""
    assert (type(component).__doc__ or "").strip(), "the class has no docstring"


def registry_with(component: Component) -> Registry:
    """Return the installed components and, by its name, every class that this one is made of, installed or not."""
    installed = load_registry()
    known = {entry.component for entry in installed.entries}
    own = dict.fromkeys(type(each) for each in components_in(component))
    plugin = Plugin("the component's own")
    added = tuple(Entry(cls, plugin) for cls in own if cls not in known)
    return Registry((*installed.plugins, plugin), (*installed.entries, *added))


def components_in(value: Any) -> Iterator[Component]:
    """Yield a component and those in its fields, at any depth."""
    if isinstance(value, Component):
        yield value
    fields: Any = ()
    if hasattr(type(value), "model_fields"):
        fields = (getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, tuple | list):
        fields = value
    elif isinstance(value, dict):
        fields = value.values()
    for item in fields:
        yield from components_in(item)


CHECKS = (check_survives_json, check_is_described)
