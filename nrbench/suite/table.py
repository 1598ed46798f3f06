"""Tables that a suite asks for: rows of its leaderboard laid out as, say, a paper printed them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from nrbench.base.component import Frozen
from nrbench.families.row import Patterns, RowFilter, matches

FIELDS: Mapping[str, str] = {"methods": "method", "noise": "noise", "backbones": "backbone", "datasets": "dataset"}
"""The sections of a suite by the field of a filter that their labels go into."""


class Axis(RowFilter):
    """A row or a column of a table. Written as a text it is a pattern for labels: a line for each that it matches."""

    label: str = ""
    """What the table calls it; by default the label that it matches."""
    group: str = ""
    """What stands above columns, or before rows, that belong together."""
    each: Patterns = ()
    """A line for each label that matches: of methods or, where none does, of noise models, backbones or data sets."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(schema))]}

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"each": [value]} if isinstance(value, str) else value


class Pivot(Frozen):
    """A table: in each of its cells is what its row and its column mean together."""

    title: str
    """Shown above it."""
    note: str = ""
    """Shown below it."""
    under: RowFilter = RowFilter()
    """What all of it is about."""
    rows: tuple[Axis, ...] = Field(min_length=1)
    """The lines."""
    columns: tuple[Axis, ...] = Field(min_length=1)
    """The columns."""
    bold: Literal["column", "row", "table", "none"] = "column"
    """Among what all is bold that cannot be told from the best: in each column the rows of a group, in each row the columns
    of a group, or the whole table."""
    underline: Literal["column", "none"] = "none"
    """Where the highest number is underlined."""
    staircase: str = ""
    """A parameter, such as sigma, of method and noise model: cells in which the method's is larger are marked."""
    reference: str = ""
    """The table of the reference whose numbers stand beside."""


def expanded(axes: Iterable[Axis], sections: Mapping[str, Iterable[str]]) -> Iterator[Axis]:
    """Yield axes with `each` replaced by what it matches, a line for each label; one that matches nothing is left out.

    `sections` are the labels by the field of a filter that they go into; the first with a match is taken.
    """
    for axis in axes:
        if not axis.each:
            yield axis.replace(label=axis.label or _label(axis))
            continue
        found = (
            (field, [label for label in labels if matches(axis.each, label)]) for field, labels in sections.items()
        )
        field, labels = next(((field, labels) for field, labels in found if labels), ("method", []))
        for label in labels:
            yield axis.replace(each=(), label=axis.label or label, **{field: (label,)})


def _label(axis: Axis) -> str:
    said = (axis.method, axis.best_of, axis.backbone, axis.dataset, axis.noise)
    return ", ".join(" or ".join(patterns) for patterns in said if patterns)
