"""The registry: every component class that the installed plugins offer."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distributions
from pkgutil import iter_modules
from typing import Any

import pluggy

import nrbench.families.hookspecs
from nrbench.base.component import Component, families, family_of
from nrbench.base.errors import NameLookupError, did_you_mean, told
from nrbench.base.torch_state import unchanged


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin as it was found: its entry point, its distribution, and the first line of its error if it failed."""

    name: str
    distribution: str = ""
    version: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A component class and the plugin it comes from."""

    component: type[Component]
    plugin: Plugin

    @property
    def kind(self) -> str:
        """The family's word on the command line."""
        family = family_of(self.component)
        return family._family if family else ""

    @property
    def name(self) -> str:
        """The name it goes by in a suite."""
        return self.component.leaf_name() or ""

    @property
    def summary(self) -> str:
        """The first sentence of its documentation."""
        return (inspect.getdoc(self.component) or "").partition("\n")[0]


@dataclass(frozen=True)
class Registry:
    """The components of a set of plugins; a name that two of them use is an error where it is used."""

    plugins: tuple[Plugin, ...] = ()
    entries: tuple[Entry, ...] = ()
    _by_kind: dict[str, dict[str, list[Entry]]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for entry in self.entries:
            self._by_kind.setdefault(entry.kind, {}).setdefault(entry.name, []).append(entry)

    @property
    def families(self) -> dict[str, type[Component]]:
        """The families there are, by the word used on the command line."""
        return families()

    def of_kind(self, kind: str) -> tuple[Entry, ...]:
        """Return the entries of a kind such as "methods", sorted by name."""
        found = self._by_kind.get(kind, {})
        return tuple(entry for name in sorted(found) for entry in found[name])

    def named(self, name: str) -> tuple[Entry, ...]:
        """Return the entries that go by this name: those of any kind, or of one such as "methods/sgd"."""
        kind, _, leaf = name.rpartition("/")
        kinds = [kind] if kind else self.families
        return tuple(entry for each in kinds for entry in self._by_kind.get(each, {}).get(leaf, []))

    def find(self, family: type[Component], name: object) -> type[Component]:
        """Return the class of that family and name; raise `NameLookupError` when there is none, or more than one."""
        known = family_of(family)
        kind, called = (known._family, known._singular) if known else ("", family.__name__)
        fitting = [entry for entry in self.of_kind(kind) if issubclass(entry.component, family)]
        matches = [entry for entry in fitting if entry.name == name]
        if len(matches) == 1:
            return matches[0].component
        if matches:
            owners = " and ".join(_owner(entry.plugin) for entry in matches)
            raise NameLookupError(f"{called} {name!r} is ambiguous: {owners} both offer one")
        hint = did_you_mean(name, sorted(entry.name for entry in fitting))
        where = f" (nrbench ls {kind})" if kind else ""
        broken = ", ".join(plugin.name for plugin in self.plugins if plugin.error)
        lost = f"; plugins that could not be loaded: {broken} (nrbench ls plugins)" if broken else ""
        raise NameLookupError(f"no {called} named {name!r}{'; ' + hint if hint else ''}{where}{lost}")


def load_registry(*, entry_points: bool = True, extra: Iterable[object] = ()) -> Registry:
    """Return the registry of the installed plugins and of the `extra` ones: modules or objects with the hook.

    Each plugin is imported, registered, checked and called by itself, so that a broken one is a row with an error and
    costs the others nothing.
    """
    for module in iter_modules(nrbench.families.__path__, "nrbench.families."):
        import_module(module.name)  # every file in this folder declares what it has, before anything is asked for
    plugins: list[Plugin] = []
    entries: list[Entry] = []
    for plugin, source in [*(_installed() if entry_points else ()), *map(_given, extra)]:
        try:
            with redirect_stdout(sys.stderr), unchanged(plugin.name):  # what a plugin prints is no result of ours
                classes = _components(source.load() if isinstance(source, EntryPoint) else source, plugin.name)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            reason = " ".join(told(error).split())[:200]
            plugins.append(Plugin(plugin.name, plugin.distribution, plugin.version, reason))
            continue
        plugins.append(plugin)
        entries += [Entry(component, plugin) for component in classes]
    return Registry(tuple(plugins), tuple(entries))


def _installed() -> Iterator[tuple[Plugin, EntryPoint]]:
    found: dict[tuple[str, str], tuple[Distribution, EntryPoint]] = {}
    for distribution in distributions():  # an earlier path shadows a later one, as in an import
        for point in distribution.entry_points.select(group="nrbench"):
            found.setdefault((distribution.name, point.name), (distribution, point))
    for (owner, name), (distribution, point) in sorted(found.items()):
        yield Plugin(name, owner, distribution.version), point


def _given(source: object) -> tuple[Plugin, object]:
    return Plugin(getattr(source, "__name__", type(source).__name__)), source


def _components(plugin: Any, name: str) -> list[type[Component]]:
    manager = pluggy.PluginManager("nrbench")
    manager.add_hookspecs(nrbench.families.hookspecs)
    manager.register(plugin, name)
    manager.check_pending()
    results = manager.hook.nrbench_components()
    if not results:
        raise TypeError("it implements no nrbench_components hook")
    classes = list(results[0])
    for component in classes:
        _check(component)
    return classes


def _check(component: type[Component]) -> None:
    label = getattr(component, "__name__", repr(component))
    if not (inspect.isclass(component) and issubclass(component, Component) and family_of(component)):
        raise TypeError(f"{label} belongs to no family of components ({', '.join(families())})")
    if component.leaf_name() is None:
        raise TypeError(f'{label} has no name: give it `name: Literal["..."] = "..."`')
    if any(info.alias for info in component.model_fields.values()):
        raise TypeError(
            f"{label} has a field with an alias: a field is written in a suite as it is called in the class"
        )
    if inspect.isabstract(component):
        missing = ", ".join(sorted(component.__abstractmethods__))
        raise TypeError(f"{label} lacks {missing}")


def _owner(plugin: Plugin) -> str:
    return f"{plugin.distribution} ({plugin.name})" if plugin.distribution else plugin.name
