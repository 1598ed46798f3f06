"""CSV files of numbers, read into models."""

from __future__ import annotations

import csv
import re
from math import isfinite
from typing import TypeVar

from pydantic import ValidationError

from nrbench.base.component import Frozen

Model = TypeVar("Model", bound=Frozen)
MOST_ROWS = 100_000
MOST_TOLD = 10
"""Lines that are wrong of which it is said in what."""


def csv_models(content: bytes, model: type[Model]) -> tuple[Model, ...]:
    """Return a model for each line of a CSV file, whose columns are fields of it; `#` starts a comment.

    Raise `ValueError` with the line that is wrong and what is wrong with it.
    """
    lines = [
        (number, _values(line, number))
        for number, line in enumerate(content.decode("utf-8-sig").splitlines(), start=1)
        if line.strip() and not line.strip().startswith("#")
    ]
    (_, header), *rows = lines or [(1, [])]
    fields = model.model_fields
    required = {name for name, info in fields.items() if info.is_required()}
    if not required <= set(header) <= set(fields) or len(set(header)) < len(header):
        raise ValueError(f"its first line should be {','.join(fields)}, not {','.join(header) or 'nothing'}")
    if not rows or len(rows) > MOST_ROWS:
        raise ValueError(f"it has {len(rows):,} lines of numbers; there should be 1 to {MOST_ROWS:,}")
    found: list[Model] = []
    wrong: list[str] = []
    for number, row in rows:
        try:
            found.append(_model(model, header, row, number))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        more = f"; and {len(wrong) - MOST_TOLD} more lines" if len(wrong) > MOST_TOLD else ""
        raise ValueError("; ".join(wrong[:MOST_TOLD]) + more)
    return tuple(found)


def line_numbers(content: bytes) -> list[int]:
    """Return the number of the line that each model was read from."""
    lines = enumerate(content.decode("utf-8-sig").splitlines(), start=1)
    return [number for number, line in lines if line.strip() and not line.strip().startswith("#")][1:]


_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _is_number(text: str) -> bool:
    """Whether Python reads it as a finite number, in whatever digits and with underscores."""
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _values(line: str, number: int) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], strict=True))]
    except csv.Error as error:
        raise ValueError(f"line {number}: {error}") from None


def _model(model: type[Model], header: list[str], row: list[str], number: int) -> Model:
    if len(row) != len(header):
        raise ValueError(f"line {number} has {len(row)} values, not {len(header)}")
    required = {name for name, info in model.model_fields.items() if info.annotation is float}
    for name, value in zip(header, row, strict=True):
        if not value and name in required:
            raise ValueError(f"line {number}: {name}: nothing is written there")
    for value in row:
        if not _PLAIN.fullmatch(value) and _is_number(value):
            raise ValueError(f"line {number}: {value!r} is no plain number: digits 0 to 9, a point, an exponent")
    try:
        return model.model_validate_strings({name: value for name, value in zip(header, row, strict=True) if value})
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        raise ValueError(
            f"line {number}: {'.'.join(map(str, detail['loc']))}: {detail['msg'].removeprefix('Value error, ')}"
        ) from None
