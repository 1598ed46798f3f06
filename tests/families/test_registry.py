from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Literal

import pytest

from nrbench import Component, Method, NoiseModel, Registry, hookimpl, load_registry
from nrbench.base.component import families
from nrbench.base.errors import NameLookupError
from nrbench_methods import SGD

BROKEN = {
    "import error": ("import nothing_of_that_name", "ModuleNotFoundError"),
    "syntax error": ("def", "SyntaxError"),
    "exit": ("raise SystemExit(3)", "SystemExit"),
    "no hook": ("x = 1", "no nrbench_components hook"),
    "unknown hook": ("from nrbench import hookimpl\n@hookimpl\ndef nrbench_componentz(): return []", "unknown hook"),
    "raising hook": ("from nrbench import hookimpl\n@hookimpl\ndef nrbench_components(): 1 / 0", "ZeroDivisionError"),
    "extra argument": ("from nrbench import hookimpl\n@hookimpl\ndef nrbench_components(x): return []", "Argument"),
    "not a class": ("from nrbench import hookimpl\n@hookimpl\ndef nrbench_components(): return [3]", "belongs to no family"),
    "not a list": ("from nrbench import hookimpl\n@hookimpl\ndef nrbench_components(): return 3", "TypeError"),
    "family": ("from nrbench import Method, hookimpl\n@hookimpl\ndef nrbench_components(): return [Method]", "has no name"),
    "abstract": (
        "from typing import Literal\nfrom nrbench import Method, hookimpl\n"
        "class M(Method):\n    name: Literal['m'] = 'm'\n"
        "@hookimpl\ndef nrbench_components(): return [M]",
        "lacks backward",
    ),
}  # fmt: skip


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Put a distribution with one plugin module on the path, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, code: str) -> None:
        (tmp_path / f"{name}.py").write_text(dedent(code))
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[nrbench]\nmine = {name}\n")
        sys.modules.pop(name, None)

    return put


@pytest.mark.parametrize(("code", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_a_row_and_costs_no_other(code: str, reason: str, install, registry: Registry) -> None:  # type: ignore[no-untyped-def]
    """Whatever a plugin does wrong, it is listed with its distribution and the first line of its error; the rest works."""
    install("broken", code)
    loaded = load_registry()
    (row,) = [plugin for plugin in loaded.plugins if plugin.error]
    assert (row.name, row.distribution, row.version) == ("mine", "broken", "1.2")
    assert reason in row.error
    assert "\n" not in row.error
    assert len(loaded.entries) == len(registry.entries)


def test_a_strangers_plugin_stands_beside_ours(install) -> None:  # type: ignore[no-untyped-def]
    """A component of an installed distribution is found like a built-in one."""
    install(
        "stranger",
        """
        from typing import Literal
        from nrbench import NONE, NoiseModel, hookimpl

        class Nothing(NoiseModel):
            \"\"\"Nothing at all.\"\"\"
            name: Literal["nothing"] = "nothing"
            def displacement(self, weights, *, chance):
                return NONE

        @hookimpl
        def nrbench_components():
            return [Nothing]
        """,
    )
    registry = load_registry()
    assert registry.find(NoiseModel, "nothing").__module__ == "stranger"
    (entry,) = registry.named("nothing")
    assert (entry.kind, entry.plugin.distribution, entry.summary) == ("noise", "stranger", "Nothing at all.")


def test_an_unknown_name_suggests_a_near_one(registry: Registry) -> None:
    """The error names the kind, what was asked for, what is near, and where to look."""
    with pytest.raises(
        NameLookupError, match=r"no noise model named 'gausian'; did you mean 'gaussian'\? \(nrbench ls noise\)"
    ):
        registry.find(NoiseModel, "gausian")
    for name in (None, 3, ["sgd"], {"sgd": 1}):
        with pytest.raises(NameLookupError, match="no method named"):
            registry.find(Method, name)


def test_two_plugins_with_one_name_are_ambiguous_where_it_is_used() -> None:
    """Both are listed; asking for the name is the error, and names both."""

    class Other(SGD):
        """Another plugin's method of the same name."""

    plugin = ModuleType("other")

    @hookimpl
    def nrbench_components() -> list[type[Component]]:
        return [Other]

    plugin.nrbench_components = nrbench_components  # type: ignore[attr-defined]
    registry = load_registry(extra=[plugin])
    assert len(registry.named("methods/sgd")) == 2
    with pytest.raises(NameLookupError, match=r"ambiguous: nrbench \(methods\) and other both"):
        registry.find(Method, "sgd")
    assert registry.find(Method, "sam")


def test_a_name_may_serve_several_kinds() -> None:
    """A method and a noise model of one name do not meet."""

    class Same(NoiseModel):
        """Noise with a method's name."""

        name: Literal["sgd"] = "sgd"

        def displacement(self, weights, *, chance):  # type: ignore[no-untyped-def]
            return {}

    class Plugin:
        @hookimpl
        def nrbench_components(self) -> list[type[Component]]:
            return [Same]

    registry = load_registry(extra=[Plugin()])
    assert registry.find(Method, "sgd") is SGD
    assert registry.find(NoiseModel, "sgd") is Same


def test_ours_take_the_same_road_as_a_strangers(registry: Registry) -> None:
    """Without entry points there is nothing: every component comes through the hook."""
    assert load_registry(entry_points=False).entries == ()
    assert {entry.kind for entry in registry.entries} == set(families())
