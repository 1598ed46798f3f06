"""Layers: the files and settings that a suite is written in, laid over each other before anything is read from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nrbench.base.errors import Mark, Problem, SuiteError, UsageError, did_you_mean, told
from nrbench.suite.shipped import shipped_suites
from nrbench.suite.suite import SECTIONS, Benchmark
from nrbench.suite.sweeps import is_sweep
from nrbench.suite.yaml import Node, load, parse

OWN = frozenset(Benchmark.model_fields)
"""The fields of a collection's file that are about the collection; all others are laid over each suite it includes."""


MAX_INCLUDED = 200


@dataclass(frozen=True, slots=True)
class Layers:
    """A document and, for a collection, those of the suites it includes."""

    root: Node
    included: tuple[Node, ...] = ()
    marks: tuple[Mark, ...] = ()
    """Where each of them is included."""


def layered(path: Path, *, settings: Sequence[str] = ()) -> Layers:
    """Return what a file says once all that it extends and includes, and all settings, are laid over each other.

    Raise `SuiteError` for files that are not there or refer to themselves, and for what deletes nothing.
    """
    layers = _included(_extended(path, ()), (path.resolve(),))
    for setting in settings:
        layers = _set(layers, setting)
    return layers


# -- extends ----------------------------------------------------------------------------------------------------------


def _extended(path: Path, seen: tuple[Path, ...]) -> Node:
    root = load(path)
    if not isinstance(root.value, dict):
        raise SuiteError([Problem(root.mark, "", "a suite is a mapping")])
    base = root.value.get("extends")
    if base is None:
        return root
    target = _file(base, "extends", (*seen, path.resolve()))
    own = {key: child for key, child in root.value.items() if key != "extends"}
    below = _extended(target, (*seen, path.resolve()))
    problems = _vain_deletions(own, [below])
    if problems:
        raise SuiteError(problems)
    return overlaid(below, Node(own, root.mark))


def _file(node: Node, field: str, chain: tuple[Path, ...]) -> Path:
    """Return the file that a node names, relative to the file it stands in, or a suite that comes with nrbench."""
    if not isinstance(node.value, str):
        raise SuiteError([Problem(node.mark, field, "expected the path of another suite")])
    try:
        target = Path(node.mark.file).parent / node.value
        if not target.is_file():
            target = shipped_suites().get(node.value, target)
        if target.resolve() in chain:
            raise SuiteError([Problem(node.mark, field, f"{node.value} leads back to this file")])
        there = target.is_file()
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # a name too long, with a NUL or a half of a letter, a loop of links
        raise SuiteError([Problem(node.mark, field, f"this can be no file: {told(error)}")]) from None
    if not there:
        raise SuiteError([Problem(node.mark, field, f"there is no file {target} and no suite of that name")])
    return target


def _vain_deletions(over: dict[str, Node], below: Sequence[Node]) -> list[Problem]:
    """Return the deletions in a layer that find nothing to delete in any of the layers below."""
    problems = []
    for section in (
        name for name in (*SECTIONS, "claims", "figures") if name in over and isinstance(over[name].value, dict)
    ):
        known = {label for root in below if section in root.value for label in root.value[section].value or ()}
        problems += [
            _nothing_to_delete(child.key or child.mark, section, label, known)
            for label, child in over[section].value.items()
            if child.value is None and label not in known
        ]
    return problems


def _nothing_to_delete(mark: Mark, section: str, label: str, labels: Iterable[str]) -> Problem:
    return Problem(
        mark, f"{section}.{label}", "there is nothing of that label to delete", did_you_mean(label, list(labels))
    )


# -- include ----------------------------------------------------------------------------------------------------------


def _included(root: Node, chain: tuple[Path, ...]) -> Layers:
    listed = root.value.get("include")
    if listed is None:
        return Layers(root)
    if not isinstance(listed.value, list) or not listed.value:
        raise SuiteError([Problem(listed.mark, "include", "expected a list of suites")])
    own = {key: child for key, child in root.value.items() if key in OWN}
    over = {key: child for key, child in root.value.items() if key not in OWN and key != "include"}
    leaves: list[Node] = []
    marks: list[Mark] = []
    for entry in listed.value:
        target = _file(entry, "include", chain)
        inner = _included(_extended(target, chain), (*chain, target.resolve()))
        if inner.included:
            own = _joined(inner.root, own)
        leaves += inner.included or [inner.root]
        if len(leaves) > MAX_INCLUDED:
            raise SuiteError([Problem(entry.mark, "include", f"more than {MAX_INCLUDED} suites are included")])
        marks += [entry.mark] * max(1, len(inner.included))
    if problems := _vain_deletions(over, leaves):
        raise SuiteError(problems)
    return Layers(Node(own, root.mark), tuple(overlaid(leaf, Node(over, leaf.mark)) for leaf in leaves), tuple(marks))


def _joined(inner: Node, own: dict[str, Node]) -> dict[str, Node]:
    """Return a collection's own fields with those of a collection it includes: tables behind tables, the rest below."""
    both = [root["tables"] for root in (inner.value, own) if "tables" in root]
    fields: dict[str, Node] = overlaid(inner, Node(own, inner.mark)).value
    if len(both) == 2 and all(isinstance(tables.value, list) for tables in both):
        fields["tables"] = replace(both[1], value=[*both[0].value, *both[1].value])
    return fields


# -- settings ---------------------------------------------------------------------------------------------------------


def _set(layers: Layers, setting: str) -> Layers:
    """Lay "path=value" over a suite; in a collection over every suite that has what it names, or over all of them."""
    roots = layers.included or (layers.root,)
    path, value = _parsed(layers, setting)
    section, _, label = path.partition(".")
    if section in ("extends", "include"):
        raise UsageError(f"--set {setting}: which files are laid over each other is said in a file")
    if layers.included and section in OWN:
        if value.value is None and known_length(layers.root, path) < len(path):
            raise UsageError(f"--set {setting}: there is nothing of that name to delete")
        return replace(layers, root=with_value(layers.root, path, value))
    known = [set(root.value[section].value or ()) if _has(root, section) else set() for root in roots]
    if (
        value.value is None
        and label
        and "." not in label
        and section in SECTIONS
        and not any(label in k for k in known)
    ):
        raise SuiteError([_nothing_to_delete(value.key or value.mark, section, label, set().union(*known))])
    depths = [known_length(root, path) for root in roots]
    chosen = [depth == max(depths) if section in SECTIONS else True for depth in depths]
    laid = tuple(with_value(root, path, value) if take else root for root, take in zip(roots, chosen, strict=True))
    return replace(layers, included=laid) if layers.included else Layers(laid[0])


def _has(root: Node, section: str) -> bool:
    return section in root.value and isinstance(root.value[section].value, dict)


def _parsed(layers: Layers, setting: str) -> tuple[str, Node]:
    """Return path and value. A label may hold `=`: the path is as much of the text as names something there is."""
    splits = [match.start() for match in re.finditer("=", setting)]
    if not splits or not setting[: splits[0]] or not setting[splits[-1] + 1 :]:
        raise UsageError(f"--set {setting}: expected path=value, where null deletes")
    roots = (layers.root, *layers.included)
    depths = [max(known_length(root, setting[:split]) for root in roots) for split in splits]
    split = splits[depths.index(max(depths))]
    return setting[:split], parse(setting[split + 1 :], f"--set {setting}")


# -- laying one over the other ----------------------------------------------------------------------------------------


def merged(base: Node, over: Node) -> Node:
    """Return `base` with `over` laid on it.

    Maps merge by key, a map whose `name` changes replaces the old one whole, lists and sweeps replace, null deletes.
    """
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)) or is_sweep(base) or is_sweep(over):
        return over
    names = [node.value["name"].value for node in (base, over) if "name" in node.value]
    return over if len(names) == 2 and names[0] != names[1] else overlaid(base, over)


def overlaid(base: Node, over: Node) -> Node:
    """Return a map with another laid on it, key by key; see `merged`."""
    children = dict(base.value)
    for key, child in over.value.items():
        if child.value is None:
            children.pop(key, None)
        else:
            children[key] = merged(children[key], child) if key in children else child
    return Node(children, over.mark, over.key)


def with_value(root: Node, path: str, value: Node) -> Node:
    """Return `root` with the value at a dotted path replaced or, for null, removed; keys may themselves hold dots."""
    keys = _keys(root, path)
    wrapped = value
    for key in reversed(keys):
        wrapped = Node({key: replace(wrapped, key=value.mark)}, value.mark)
    return overlaid(root, wrapped)


def known_length(node: Node, path: str) -> int:
    """Return the length of the longest beginning of a dotted path that leads to a value."""
    keys = _keys(node, path)
    length = 0
    for key in keys:
        child = node.child(key)
        if child is None:
            return length
        node = child
        length += len(key) + 1
    return length


def _keys(node: Node, path: str) -> list[str]:
    if isinstance(node.value, dict):
        for key in sorted(node.value, key=len, reverse=True):
            if path == key:
                return [key]
            if path.startswith(f"{key}."):
                return [key, *_keys(node.value[key], path[len(key) + 1 :])]
    return path.split(".")
