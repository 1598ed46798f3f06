"""Sweeps: values that a component takes one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import prod

from nrbench.suite.yaml import Node, Path_


def is_sweep(node: Node) -> bool:
    """Whether a node is `{sweep: [...]}`."""
    return isinstance(node.value, dict) and set(node.value) == {"sweep"}


def variants(node: Node) -> Iterator[Node]:
    """Yield what a node stands for once every sweep in it has taken each of its values; later sweeps vary fastest."""
    if is_sweep(node):
        for item in node.value["sweep"].value:
            yield from variants(replace(item, key=node.key))
    elif isinstance(node.value, dict):
        for values in product(*map(list, map(variants, node.value.values()))):
            yield replace(node, value=dict(zip(node.value, values, strict=True)))
    elif isinstance(node.value, list):
        for values in product(*map(list, map(variants, node.value))):
            yield replace(node, value=list(values))
    else:
        yield node


def count(node: Node) -> int:
    """Return how many variants a node has, without making them."""
    if is_sweep(node):
        return sum(map(count, node.value["sweep"].value))
    children = node.value.values() if isinstance(node.value, dict) else node.value
    return prod(map(count, children)) if isinstance(node.value, dict | list) else 1


def sweeps(node: Node, path: Path_ = ()) -> Iterator[tuple[Path_, Node]]:
    """Yield every sweep in a node with the path it stands at."""
    if is_sweep(node):
        yield path, node
        values = node.value["sweep"].value
        for item in values if isinstance(values, list) else ():
            yield from sweeps(item, path)
        return
    children = node.value.items() if isinstance(node.value, dict) else ()
    for key, child in children:
        yield from sweeps(child, (*path, key))
    if isinstance(node.value, list):
        for index, child in enumerate(node.value):
            yield from sweeps(child, (*path, index))
