"""YAML documents that remember, for every value, the file, line and column that wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode
from ruamel.yaml.nodes import Node as YamlNode

from nrbench.base.errors import Mark, Problem, SuiteError

MAX_BYTES = 2**18  # reading this much YAML takes seconds; a large suite has a few thousand bytes
MAX_NODES = 50_000  # a 10,000-cell suite has a few hundred; an alias bomb has billions
MAX_DEPTH = 40
MAX_BRACKETS = 200

_BRACKET = re.compile(r"[\[\]{}]")

_TAGS = {"map", "seq", "str", "int", "float", "bool", "null", "merge", "timestamp"}

Path_ = tuple[str | int, ...]


class Text(str):
    """A text that knows the directory of the file that wrote it, which a path in it is relative to."""

    written_in: Path

    @classmethod
    def of(cls, text: str, mark: Mark) -> Text:
        """Return the text as it stands in a file; what a flag says is relative to the working directory."""
        written = cls(text)
        written.written_in = Path() if mark.file.startswith("--") else Path(mark.file).parent
        return written


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands: a dict of nodes, a list of nodes, or a scalar; `key` is where its key stands."""

    value: Any
    mark: Mark
    key: Mark | None = None

    def plain(self) -> Any:
        """Return the value as plain data."""
        if isinstance(self.value, dict):
            return {name: child.plain() for name, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return Text.of(self.value, self.mark) if isinstance(self.value, str) else self.value

    def child(self, step: str | int) -> Node | None:
        """Return the value at a key or an index, None when there is none."""
        if isinstance(self.value, dict):
            found: Node | None = self.value.get(step)
            return found
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            item: Node = self.value[step]
            return item
        return None

    def locate(self, path: Path_, *, key: bool = False) -> Mark:
        """Return where the value at `path` stands, or the innermost value on the way that exists.

        With `key`, return where its key stands.
        """
        node = self
        for step in self.known(path):
            node = node.child(step) or node
        return (node.key or node.mark) if key else node.mark

    def known(self, path: Path_) -> Path_:
        """Return a path without the steps that are not in the text, such as pydantic's tag of a union."""
        node, steps = self, []
        for step in path:
            child = node.child(step)
            if child is not None:
                steps.append(step)
                node = child
        return tuple(steps)


def load(path: Path) -> Node:
    """Return the document in a YAML file; raise `SuiteError` when it cannot be read or is no plain YAML 1.2."""
    try:
        if path.exists() and not path.is_file():
            raise SuiteError([Problem(Mark(str(path)), "", "it is no regular file")])
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SuiteError([Problem(Mark(str(path)), "", f"the file is larger than {MAX_BYTES:,} bytes")])
        return parse(content.decode("utf-8-sig"), str(path))
    except OSError as error:
        raise SuiteError([Problem(Mark(str(path)), "", f"cannot read it: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise SuiteError([Problem(Mark(str(path)), "", f"it is not UTF-8: {error.reason}")]) from error


def parse(text: str, file: str) -> Node:
    """Return the document in a text; `file` is what its marks say."""
    if (start := _too_deep(text)) is not None:
        line = text.count("\n", 0, start) + 1
        raise SuiteError([Problem(Mark(file, line), "", f"nested more than {MAX_BRACKETS} deep")])
    if (directive := re.search(r"^%.*$", text, re.MULTILINE)) and not re.match(r"%YAML\s+1\.2\s*$", directive[0]):
        line = text.count("\n", 0, directive.start()) + 1
        raise SuiteError([Problem(Mark(file, line), "", "a suite is written in YAML 1.2, without other directives")])
    return _Parser(text, file).document()


def _too_deep(text: str) -> int | None:
    """Return where brackets are nested beyond reason: the scanner takes quadratic time for them (5,000: 2.4 s)."""
    depth = 0
    for match in _BRACKET.finditer(text):
        depth += 1 if match.group() in "[{" else -1
        if depth > MAX_BRACKETS:
            return match.start()
    return None


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._lines = text.splitlines()
        self._file = file
        self._yaml = YAML(typ="safe", pure=True)
        self._problems: list[Problem] = []
        self._count = 0

    def document(self) -> Node:
        try:
            root = self._yaml.compose(self._text)
        except MarkedYAMLError as error:
            where = error.problem_mark or error.context_mark
            mark = self._mark(where) if where else Mark(self._file)
            raise SuiteError([Problem(mark, "", f"not valid YAML: {error.problem or error}")]) from error
        except (YAMLError, ValueError, OverflowError) as error:
            raise SuiteError([Problem(Mark(self._file), "", f"not valid YAML: {error}")]) from error
        except RecursionError as error:
            raise SuiteError([Problem(Mark(self._file), "", "nested too deeply")]) from error
        if root is None:
            raise SuiteError([Problem(Mark(self._file), "", "the file is empty")])
        node = self._node(root, (), None)
        if self._problems:
            raise SuiteError(self._problems)
        return node

    def _mark(self, mark: Any) -> Mark:
        source = self._lines[mark.line] if mark.line < len(self._lines) else ""
        return Mark(self._file, mark.line + 1, mark.column + 1, source)

    def _node(self, yaml: YamlNode, path: Path_, key: Mark | None) -> Node:
        empty = yaml.start_mark.index == yaml.end_mark.index
        mark = key if empty and key is not None else self._mark(yaml.start_mark)
        self._count += 1
        if self._count > MAX_NODES:
            raise SuiteError([Problem(mark, "", f"more than {MAX_NODES:,} values, counting every use of an alias")])
        if len(path) > MAX_DEPTH:
            raise SuiteError([Problem(mark, "", f"nested more than {MAX_DEPTH} deep")])
        tag = str(yaml.tag).removeprefix("tag:yaml.org,2002:")
        kind = "map" if isinstance(yaml, MappingNode) else "scalar" if isinstance(yaml, ScalarNode) else "seq"
        if tag not in _TAGS or (tag if tag in ("map", "seq") else "scalar") != kind:
            self._problems.append(Problem(mark, dotted(path), f"the tag {yaml.tag} means nothing here"))
            return Node(None, mark, key)
        if isinstance(yaml, ScalarNode):
            return Node(self._scalar(yaml, mark, path), mark, key)
        if isinstance(yaml, MappingNode):
            return Node(self._mapping(yaml, path), mark, key)
        items = [self._node(item, (*path, index), None) for index, item in enumerate(yaml.value)]
        return Node(items, mark, key)

    def _mapping(self, yaml: MappingNode, path: Path_) -> dict[str, Node]:
        children: dict[str, Node] = {}
        merged: list[Node] = []
        for name, value in yaml.value:
            mark = self._mark(name.start_mark)
            if str(name.tag).endswith(":merge"):
                merged += self._merged(value, path, mark)
                continue
            if not isinstance(name, ScalarNode):
                self._problems.append(Problem(mark, dotted(path), "a key must be a word"))
                continue
            word = str(name.value)
            if word in children:
                first = children[word].key
                where = f" (first on line {first.line})" if first else ""
                self._problems.append(Problem(mark, dotted((*path, word)), f"the key is given twice{where}"))
                continue
            if yaml.flow_style and _is_absent(value):
                hint = f"a comma begins the next key: quote a key that has one in it, or write '{word}: null' to delete"
                self._problems.append(Problem(mark, dotted((*path, word)), f"the key {word!r} has no value", hint))
                continue
            children[word] = self._node(value, (*path, word), mark)
        inherited: dict[str, Node] = {}
        for node in merged:
            inherited |= node.value | inherited
        return inherited | children

    def _merged(self, yaml: YamlNode, path: Path_, mark: Mark) -> list[Node]:
        """Return the mappings whose keys `<<` lays beneath those that are given, the first of them on top."""
        node = self._node(yaml, path, mark)
        each = node.value if isinstance(node.value, list) else [node]
        if others := [one for one in each if not isinstance(one.value, dict)]:
            self._problems.append(Problem(others[0].mark, dotted(path), "<< takes a mapping or a list of mappings"))
            return []
        return list(each)

    def _scalar(self, yaml: ScalarNode, mark: Mark, path: Path_) -> Any:
        if str(yaml.tag).endswith(":timestamp"):
            return str(yaml.value)
        try:
            value = self._yaml.constructor.construct_object(yaml)
        except Exception as error:  # ruamel raises whatever a value is wrong with, KeyError for `!!bool word`
            self._problems.append(Problem(mark, dotted(path), f"cannot read this value: {error}"))
            return None
        if isinstance(value, int | float) and "_" in str(yaml.value):
            self._problems.append(
                Problem(mark, dotted(path), f"{yaml.value} has underscores, which no number has here")
            )
            return None
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            self._problems.append(Problem(mark, dotted(path), "the number does not fit into 64 bits"))
            return None
        return value


def _is_absent(value: YamlNode) -> bool:
    """Whether nothing at all is written for a value: neither null nor an anchor."""
    return isinstance(value, ScalarNode) and value.start_mark.index == value.end_mark.index and not value.anchor


def dotted(path: Path_) -> str:
    """Return a path as it is written in messages and with --set."""
    return ".".join(map(str, path))
