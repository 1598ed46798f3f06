"""Components: frozen models that are at once a plugin, its schema, its validated configuration and its identity."""

from __future__ import annotations

import hashlib
import json
from abc import ABC
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from nrbench.base.errors import NameLookupError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
"""A word that may become part of a path or a key."""


NOT_IN_KEY = "not in key"
"""Metadata of a field that changes how a result is obtained but never the result."""
ADDED_LATER = "added later"
"""Metadata of a field that is in the key only where it has not its default, so that adding it left all keys as they were."""


class Finder(Protocol):
    """What turns a family and a name into a component class; the registry is one."""

    def find(self, family: type[Component], name: object) -> type[Component]:
        """Return the class, or raise `NameLookupError` with a sentence that helps."""


_VALUES = {"default", "expected", "metadata"}


def _strict_scalars(schema: Any) -> Any:
    """Return `schema` with every bool, int, float and str strict: a silent "1" → 1 or 1 → True is a slip."""
    if isinstance(schema, dict):
        strict = {"strict": True} if schema.get("type") in ("bool", "int", "float", "str") else {}
        return {key: value if key in _VALUES else _strict_scalars(value) for key, value in schema.items()} | strict
    if isinstance(schema, list | tuple):
        return type(schema)(_strict_scalars(item) for item in schema)
    return schema


class Frozen(BaseModel):
    """Immutable pure data: unknown fields are refused, scalars are never coerced, NaN and infinity are no numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, validate_default=True
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: CoreSchema = _strict_scalars(handler(source))
        return schema

    def identity(self) -> Any:
        """Return what its fingerprint is the hash of, as plain JSON data: its fields."""
        return canonical_fields(self)

    @cached_property
    def fingerprint(self) -> str:
        """The hash of everything this object is, at any depth: 32 hexadecimal digits."""
        return digest(canonical(self))

    def __eq__(self, other: object) -> bool:
        """Whether both are the same in everything that is in a key: what is in no key is in no comparison."""
        return type(self) is type(other) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values for some fields, validated as ever."""
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | changes)


class Finding(NamedTuple):
    """Something that was looked at to see whether an installation can do its work."""

    what: str
    ok: bool
    found: str


class Component(Frozen, ABC):
    """A frozen model whose fields are its parameters and whose methods are its behaviour; it holds no state.

    A *leaf* fixes its name: `name: Literal["sam"] = "sam"`. A class that leaves it open is a *family*; a field annotated
    with a family accepts every leaf of it, found by name in the `registry` of the validation context.
    """

    version: ClassVar[int] = 1
    """Raise it when behaviour changes: results of the old version are then recomputed."""
    paper: ClassVar[str] = ""
    """Author, year and title of the source, where there is one."""

    _family: ClassVar[str] = ""
    _singular: ClassVar[str] = ""

    name: str

    def __init_subclass__(cls, *, family: str = "", singular: str = "", **kwargs: Any) -> None:
        """Declare a family by the word it has on the command line, such as `class Method(Component, family="methods")`."""
        super().__init_subclass__(**kwargs)
        if family:
            cls._family, cls._singular = family, singular or family.removesuffix("s")

    @model_validator(mode="after")
    def _fits_into_float32(self) -> Self:
        """Raise `ValueError` for a number that float32, which everything is computed in, cannot hold or takes for nothing."""
        for field in type(self).model_fields:
            value = getattr(self, field)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float) and number and not 1e-30 <= abs(number) <= 1e30:
                    raise ValueError(f"{field} is {number:g}, which is beyond what can be computed with")
        return self

    def identity(self) -> Any:
        """Return what its fingerprint is the hash of: its name, its version and its fields, as plain JSON data."""
        fields = super().identity()
        del fields["name"]
        return {"name": self.name, "version": self.version, "fields": fields}

    @classmethod
    def check(cls) -> Iterator[Finding]:
        """Yield what `nrbench doctor` should know, such as the version of a library it needs; nothing by default.

        What it raises is a finding that is not ok.
        """
        yield from ()

    @classmethod
    def leaf_name(cls) -> str | None:
        """The name of a leaf, None for a family."""
        annotation = cls.__pydantic_fields__["name"].annotation
        return str(get_args(annotation)[0]) if get_origin(annotation) is Literal else None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = super().__get_pydantic_core_schema__(source, handler)
        if cls.leaf_name() is not None:
            return schema
        return core_schema.with_info_plain_validator_function(
            cls._dispatch,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda leaf: leaf.model_dump(mode="json")),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) if cls.leaf_name() is not None else {"family": cls.__name__}

    @classmethod
    def _dispatch(cls, value: Any, info: ValidationInfo) -> Component:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping) or "name" not in value:
            raise PydanticCustomError("component", "expected a mapping with a 'name', such as {name: ...}")
        finder: Finder | None = (info.context or {}).get("registry")
        if finder is None:
            raise PydanticCustomError("component", "a component given by name needs a registry in the context")
        try:
            leaf = finder.find(cls, value["name"])
        except NameLookupError as error:
            problem = InitErrorDetails(
                type=PydanticCustomError("unknown_name", "{reason}", {"reason": str(error)}),
                loc=("name",),
                input=value["name"],
            )
            raise ValidationError.from_exception_data(cls.__name__, [problem]) from None
        return leaf.model_validate(value, context=info.context)


def family_of(component: type[Component]) -> type[Component] | None:
    """Return the family that a component belongs to, itself if it is one; None for what belongs to no family."""
    return next((base for base in component.__mro__ if vars(base).get("_family")), None)


def families(root: type[Component] = Component) -> dict[str, type[Component]]:
    """Return every family that was declared, ours and those of plugins, sorted by its word."""
    own = {root._family: root} if vars(root).get("_family") else {}
    below = (found for child in root.__subclasses__() for found in families(child).items())
    return dict(sorted({**own, **dict(below)}.items()))


def parameter(component: BaseModel, path: str) -> Any:
    """Return the value at a dotted path of fields, such as `method.sigma`; raise `LookupError` naming those there are."""
    value: Any = component
    for step in path.split("."):
        fields = list(type(value).model_fields) if isinstance(value, BaseModel) else []
        if step in fields:
            value = getattr(value, step)
        elif isinstance(value, tuple) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise LookupError(f"{{{path}}} names no field; there are {', '.join(fields)}")
    return value


def canonical(value: Any) -> Any:
    """Return `value` as plain JSON data that says all that matters of it and nothing else."""
    if isinstance(value, Frozen):
        return value.identity()
    if isinstance(value, BaseModel):
        return canonical_fields(value)
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return 0.0 if isinstance(value, float) and value == 0 else value  # -0.0 is the same number
    raise TypeError(
        f"{type(value).__name__} has no canonical form: a component's fields are JSON data, files and models"
    )


def canonical_fields(model: BaseModel) -> dict[str, Any]:
    """Return the fields of a model that are in its key, by name, as plain JSON data."""
    return {
        name: canonical(value)
        for name, info in type(model).model_fields.items()
        if NOT_IN_KEY not in info.metadata
        and not ((value := getattr(model, name)) == info.default and ADDED_LATER in info.metadata)
    }


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the first 128 bits of the SHA-256 of `value`'s canonical JSON, as 32 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:32]
