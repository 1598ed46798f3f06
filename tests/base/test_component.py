from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from nrbench import Component, DataError, DataFile, Frozen, Method, Registry, Schedule
from nrbench.base.component import NOT_IN_KEY
from nrbench_methods import RWP, SAM, Ramped
from nrbench_noise import Gaussian, Laplace


class Part(Frozen):
    number: float = 1.0
    hidden: Annotated[int, NOT_IN_KEY] = 0


class Thing(Component):
    """A component with every kind of field."""

    name: Literal["thing"] = "thing"
    whole: int = 1
    part: Part = Part()
    numbers: tuple[float, ...] = ()
    file: DataFile | None = None


class Newer(Thing):
    version = 2


def errors(caught: pytest.ExceptionInfo[ValidationError]) -> dict[tuple[object, ...], str]:
    return {error["loc"]: error["type"] for error in caught.value.errors()}


@pytest.mark.parametrize("value", ["1", True, 1.0, 1.5, None])
def test_scalars_are_strict(value: object) -> None:
    """An integer field refuses text, booleans and floats instead of coercing them."""
    with pytest.raises(ValidationError):
        Thing.model_validate({"whole": value})


def test_containers_are_lax_and_integers_are_numbers() -> None:
    """A YAML list fills a tuple, and an integer fills a field of floats."""
    assert Thing.model_validate({"numbers": [1, 2.5]}).numbers == (1.0, 2.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_only_finite_numbers_are_numbers(value: float) -> None:
    """NaN and infinity are refused."""
    with pytest.raises(ValidationError):
        Part(number=value)


def test_a_family_dispatches_on_the_name_at_any_depth(registry: Registry) -> None:
    """A method inside a method is found by its name, and so is its noise model."""
    data = {
        "name": "ramped",
        "schedule": {"name": "linear"},
        "method": {"name": "rwp", "sigma": 0.2, "noise": {"name": "laplace", "b": 1}},
    }
    ramped = Ramped.model_validate(data, context={"registry": registry})
    assert ramped.method == RWP(sigma=0.2, noise=Laplace(b=1.0))


def test_errors_are_located_inside_nested_components(registry: Registry) -> None:
    """An unknown name is located at `.name` and a wrong parameter at itself, several levels down, all at once."""
    data = {
        "name": "ramped",
        "schedule": {"name": "lineer"},
        "method": {"name": "ramped", "schedule": {"name": "linear", "until": 2}, "method": {"name": "sam", "rh": 1}},
    }
    with pytest.raises(ValidationError) as caught:
        Ramped.model_validate(data, context={"registry": registry})
    assert errors(caught) == {
        ("schedule", "name"): "unknown_name",
        ("method", "schedule", "until"): "less_than_equal",
        ("method", "method", "rh"): "extra_forbidden",
    }


def test_a_name_without_a_registry_is_refused() -> None:
    """There is no global registry: without one in the context a name means nothing."""
    with pytest.raises(ValidationError, match="needs a registry"):
        Ramped.model_validate({"name": "ramped", "schedule": {"name": "linear"}, "method": SAM()})


def test_serialising_a_family_keeps_the_fields_of_the_leaf() -> None:
    """A field annotated with a family is dumped as the class it really holds."""
    dumped = RWP(sigma=0.1, noise=Gaussian(sigma=2.0)).model_dump(mode="json")
    assert dumped["noise"]["sigma"] == 2.0
    assert dumped["noise"]["scale"]["by"] == "filter"


@pytest.mark.parametrize(
    "changed",
    [Thing(whole=2), Thing(part=Part(number=2.0)), Thing(numbers=(1.0,)), Newer()],
    ids=["field", "nested field", "list", "version"],
)
def test_the_fingerprint_changes_with_all_that_matters(changed: Thing) -> None:
    """Any field at any depth, and the version, are part of the identity."""
    assert changed.fingerprint != Thing().fingerprint


def test_the_fingerprint_ignores_what_changes_no_result() -> None:
    """A field marked NOT_IN_KEY, and the way a number was written, are no part of the identity."""
    assert Thing(part=Part(hidden=5)).fingerprint == Thing().fingerprint
    assert Thing.model_validate({"part": {"number": 1}}).fingerprint == Thing().fingerprint


def test_the_fingerprint_of_a_nested_component_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raising the version of a component inside another changes the fingerprint of the outer one."""
    before = RWP().fingerprint
    monkeypatch.setattr(Gaussian, "version", 2)
    assert RWP(noise=Gaussian(sigma=1.0)).fingerprint != before


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    """Moving a file keeps the fingerprint, changing one byte of it does not."""
    first, moved, edited = (tmp_path / name for name in ("a", "b", "c"))
    first.write_bytes(b"12")
    moved.write_bytes(b"12")
    edited.write_bytes(b"13")
    prints = [Thing.model_validate({"file": str(path)}).fingerprint for path in (first, moved, edited)]
    assert prints[0] == prints[1] != prints[2]


def test_a_file_that_changed_after_validation_is_refused(tmp_path: Path) -> None:
    """What is read is what was hashed, or nothing."""
    path = tmp_path / "table.csv"
    path.write_text("1")
    file = DataFile.model_validate(str(path))
    path.write_text("2")
    with pytest.raises(DataError, match="changed"):
        file.read()


@pytest.mark.parametrize(("value", "message"), [("nowhere.csv", "No such file"), (3, "expected the path"), (None, "")])
def test_a_missing_file_is_an_error_of_the_field(value: object, message: str) -> None:
    """What is no file is reported where it is written."""
    if value is None:
        assert Thing.model_validate({"file": None}).file is None
        return
    with pytest.raises(ValidationError, match=message) as caught:
        Thing.model_validate({"file": value})
    assert errors(caught) == {("file",): "file"}


def test_a_default_is_what_would_be_written() -> None:
    """An integer as the default of a float is the same configuration as the float."""

    class Whole(Component):
        name: Literal["whole"] = "whole"
        strength: float = 1

    assert Whole().fingerprint == Whole(strength=1.0).fingerprint


def test_defaults_are_left_as_they_are() -> None:
    """Strictness is about schemas: a default that looks like one is not touched."""

    class Shaped(Component):
        name: Literal["shaped"] = "shaped"
        spec: dict[str, str] = Field(default={"type": "float"})

    assert Shaped().spec == {"type": "float"}


def test_replace_validates_and_forgets_the_old_fingerprint() -> None:
    """A changed copy is validated and has a fingerprint of its own."""
    thing = Thing()
    assert thing.replace(whole=3).fingerprint == Thing(whole=3).fingerprint != thing.fingerprint
    with pytest.raises(ValidationError):
        thing.replace(whole="3")


def test_families_have_no_name_and_leaves_have_one() -> None:
    """`leaf_name` tells a family from a component."""
    assert Method.leaf_name() is None
    assert Schedule.leaf_name() is None
    assert SAM.leaf_name() == "sam"


def test_components_of_one_value_are_equal_and_hashable() -> None:
    """Equal components are one key, also with a mapping among their fields."""

    class Mapped(Component):
        name: Literal["mapped"] = "mapped"
        table: dict[str, float] = Field(default_factory=dict)

    assert len({Mapped(table={"a": 1.0}), Mapped(table={"a": 1.0}), Mapped()}) == 2
