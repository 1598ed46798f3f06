from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrbench.base.errors import SuiteError
from nrbench.suite.layers import merged, with_value
from nrbench.suite.sweeps import sweeps, variants
from nrbench.suite.yaml import MAX_BYTES, load, parse

BAD = {
    "unclosed": ("a: [1, 2", "1:9", "not valid YAML"),
    "tab": ("a:\n\t- 1", "2:1", "not valid YAML"),
    "empty": ("", "1:1", "empty"),
    "comment only": ("# nothing", "1:1", "empty"),
    "duplicate key": ("a: 1\nb: 2\na: 3", "3:1", "given twice (first on line 1)"),
    "nested duplicate": ("a:\n  b: 1\n  b: 2", "3:3", "given twice"),
    "python tag": ("a: !!python/object/apply:os.system [x]", "1:4", "tag"),
    "own tag": ("a: !thing 1", "1:4", "tag"),
    "binary": ("a: !!binary aGVsbG8=", "1:4", "tag"),
    "set": ("a: !!set {x}", "1:4", "tag"),
    "list as key": ("? [a, b]\n: 1", "1:3", "key must be a word"),
    "undefined alias": ("a: *b", "1:4", "not valid YAML"),
    "cycle": ("a: &x [*x]", "1:4", "nested more than"),
    "cycle in a map": ("&x {a: *x}", "1:1", "nested more than"),
    "two documents": ("a: 1\n---\nb: 2", "2:1", "not valid YAML"),
    "bad indent": ("a: 1\n  b: 2", "2:4", "not valid YAML"),
    "bad escape": ('a: "\\q"', "1:6", "not valid YAML"),
    "control character": ("a: \x07", "1:1", "not valid YAML"),
    "deep": ("a: " + "[" * 60 + "]" * 60, "1:", "nested more than"),
    "very deep": ("a: " + "[" * 5000 + "]" * 5000, "", "nested"),
    "bad directive": ("%YAML 9.9.9\n--- a", "1:1", "written in YAML 1.2"),
    "octal of YAML 1.1": ("%YAML 1.1\n---\na: 010", "1:1", "written in YAML 1.2"),
    "underscores": ("a: 1_000", "1:4", "underscores"),
    "beyond Unicode": ('a: "\\UFFFFFFFF"', "", "not valid YAML"),
    "bare percent": ("a: %x", "1:4", "not valid YAML"),
    "at sign": ("a: @x", "1:4", "not valid YAML"),
    "missing colon": ("a: 1\nb\nc: 2", "3:1", "not valid YAML"),
    "integer tag on text": ("a: !!int abc", "1:4", ""),
}


@pytest.mark.parametrize(("text", "place", "message"), BAD.values(), ids=BAD)
def test_broken_yaml_is_one_located_error(text: str, place: str, message: str) -> None:
    """Whatever is not plain YAML 1.2 is a SuiteError with file, line and column, never another exception."""
    with pytest.raises(SuiteError) as caught:
        parse(text, "bad.yaml")
    (problem, *_) = caught.value.problems
    assert str(problem).startswith(f"bad.yaml:{place}")
    assert message in problem.message


def test_a_merge_key_lays_its_keys_beneath() -> None:
    """What `<<` brings gives way to keys that are written, of several the first wins, and one may hold another."""
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 5, z: 6}\nc: {<<: [*a, *b], z: 9}\nd: {<<: {<<: *b, y: 7}, k: 1}"
    found = parse(text, "f").plain()
    assert found["c"] == {"x": 1, "y": 2, "z": 9}
    assert found["d"] == {"y": 7, "z": 6, "k": 1}
    assert str(parse(text, "f").locate(("d", "z"))) == "f:2:17"
    for wrong, column in (("a: {<<: 3}", 9), ("a: {<<: [{x: 1}, 3]}", 18)):
        with pytest.raises(SuiteError, match=f"f:1:{column}: a: << takes a mapping or a list of mappings"):
            parse(wrong, "f")


def test_an_alias_bomb_is_refused() -> None:
    """Nine levels of nine aliases each would be 10⁹ values; they are counted, not built."""
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9) if i else '1'}]" for i in range(10)]
    with pytest.raises(SuiteError, match="more than"):
        parse("\n".join(levels), "bomb.yaml")


@pytest.mark.parametrize(
    ("content", "message"), [(b"\xff\xfe\x00", "not UTF-8"), (b"a" * (MAX_BYTES + 1), "larger"), (None, "cannot read")]
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A missing, huge or binary file is a SuiteError too."""
    path = tmp_path / "suite.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SuiteError, match=message):
        load(path)


def test_scalars_are_yaml_1_2() -> None:
    """1e-3 is a number, `no` and a date are text, and everything knows where it stands."""
    node = parse("a: 1e-3\nb: no\nc: 2026-01-02\nd: [1, 'x', null, true]", "x.yaml")
    assert node.plain() == {"a": 1e-3, "b": "no", "c": "2026-01-02", "d": [1, "x", None, True]}
    assert str(node.locate(("d", 1))) == "x.yaml:4:8"
    assert str(node.locate(("b",), key=True)) == "x.yaml:2:1"


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"])),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1), children, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcxyz", min_size=1), PLAIN, min_size=1, max_size=4))
def test_plain_data_survives(data: dict[str, object]) -> None:
    """JSON is YAML 1.2: what an independent JSON writer writes is what is read."""
    assert parse(json.dumps(data, ensure_ascii=False), "x.yaml").plain() == data


def test_maps_merge_by_key() -> None:
    """Maps merge, lists and sweeps replace, null deletes, a changed name replaces the whole map, marks stay."""
    base = parse("r: {a: 1, b: [1, 2], c: {sweep: [1]}, d: 4}\nm: {name: sam, rho: 1}\nn: {name: x, k: 1}", "base.yaml")
    over = parse("r: {a: 2, b: [3], c: {sweep: [2, 3]}, d: null}\nm: {name: rwp}\nn: {name: x, j: 2}", "over.yaml")
    node = merged(base, over)
    assert node.plain() == {
        "r": {"a": 2, "b": [3], "c": {"sweep": [2, 3]}},
        "m": {"name": "rwp"},
        "n": {"name": "x", "k": 1, "j": 2},
    }
    assert node.locate(("n", "k")).file == "base.yaml"
    assert node.locate(("n", "j")).file == "over.yaml"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", {"a": {"b": 9, "c.d": {"e": 2}}, "x": 3}),
        ("a.c.d.e", {"a": {"b": 1, "c.d": {"e": 9}}, "x": 3}),
        ("new.deep", {"a": {"b": 1, "c.d": {"e": 2}}, "x": 3, "new": {"deep": 9}}),
    ],
)
def test_a_value_is_set_by_its_dotted_path(path: str, expected: object) -> None:
    """A path names keys that may hold dots themselves, and makes maps that are missing."""
    root = parse("a: {b: 1, c.d: {e: 2}}\nx: 3", "x.yaml")
    assert with_value(root, path, parse("9", "--set")).plain() == expected


def test_setting_null_deletes() -> None:
    """`--set a.b=null` takes a key away."""
    root = parse("a: {b: 1, c: 2}", "x.yaml")
    assert with_value(root, "a.b", parse("null", "--set")).plain() == {"a": {"c": 2}}


def test_several_sweeps_make_their_product() -> None:
    """Every combination comes once, in the order of the file, the last sweep varying fastest; sweeps may hold sweeps."""
    node = parse("{p: {sweep: [1, 2]}, q: {r: {sweep: [{s: {sweep: [3, 4]}}, 5]}}}", "x.yaml")
    plain = [variant.plain() for variant in variants(node)]
    inner = [{"s": 3}, {"s": 4}, 5]
    assert plain == [{"p": p, "q": {"r": r}} for p in (1, 2) for r in inner]
    assert [path for path, _ in sweeps(node)] == [("p",), ("q", "r"), ("q", "r", "s")]


@pytest.mark.parametrize(
    ("text", "key", "column"),
    [
        ("datasets: {CIFAR-10 (JPEG, 20k): {name: npz}}", "CIFAR-10 (JPEG", 12),
        ("a: {b: 1, c}", "c", 11),
        ("a: {b: , c: 1}", "b", 5),
    ],
)
def test_a_key_without_a_value_in_a_flow_map_is_said_to_be_one(text: str, key: str, column: int) -> None:
    """A label with a comma becomes two keys: the first has no value, and the message says how to quote it."""
    with pytest.raises(SuiteError) as caught:
        parse(text, "suite.yaml")
    (problem,) = caught.value.problems
    assert problem.message == f"the key {key!r} has no value"
    assert "quote a key that has one in it" in problem.hint
    assert (problem.mark.line, problem.mark.column) == (1, column)


def test_keys_that_say_null_or_are_quoted_are_whole() -> None:
    """Null, `~`, an empty text and a quoted key with a comma are values and keys; in a block nothing stands for null."""
    assert parse('{a: null, b: ~, c: "", "d, e": 1}', "x").plain() == {"a": None, "b": None, "c": "", "d, e": 1}
    assert parse("a:\nb: 1\n", "x").plain() == {"a": None, "b": 1}
