"""References: numbers that somebody printed, to be shown beside one's own."""

from __future__ import annotations

import csv
from functools import cached_property

from pydantic import Field, ValidationError, field_validator

from nrbench.base.component import DataFile, Frozen
from nrbench.base.errors import DataError


class Printed(Frozen):
    """A number as it was printed, under the labels that it has in the suite. Accuracies are in percent."""

    table: str = ""
    """The table it stands in."""
    dataset: str
    backbone: str
    method: str
    """A label of the suite where the strength is known, else one that the pattern of its group matches."""
    noise: str
    accuracy: float = Field(ge=0, le=100)
    noise_std: float | None = Field(default=None, ge=0)
    """Standard deviation between draws."""
    weight_std: float | None = Field(default=None, ge=0)
    """Standard deviation between training seeds."""
    seeds: int = Field(default=1, ge=1)

    @property
    def chosen_by(self) -> float:
        """What the best of a group is the highest of: all that was printed is the accuracy."""
        return self.accuracy


class Reference(Frozen):
    """A file of printed numbers, and how many seeds each is the mean of."""

    file: DataFile
    """A CSV file with the columns table, dataset, backbone, method, noise, accuracy, noise_std and weight_std, relative to
    the suite's file."""
    seeds: int = Field(default=3, ge=1)
    """Training seeds behind each number."""

    @field_validator("file")
    @classmethod
    def _is_a_table(cls, file: DataFile) -> DataFile:
        try:
            _parsed(file.read(), 1)
        except csv.Error as error:
            raise ValueError(f"{file.path}: {error}") from None
        except DataError:  # a lock that is read where the file is not: it was checked when it was locked
            return file
        except ValueError as error:
            raise ValueError(f"{file.path}: {error}") from None
        return file

    @cached_property
    def rows(self) -> tuple[Printed, ...]:
        """The numbers, in the order of the file; raise `DataError` when it has changed since it was read."""
        return _parsed(self.file.read(), self.seeds)


def _parsed(content: bytes, seeds: int) -> tuple[Printed, ...]:
    """Return the numbers of a CSV file, in which `#` starts a comment; raise `ValueError` with the line of a mistake."""
    text = content.decode("utf-8-sig")
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line and line[0] != "#"]
    rows = []
    if len(lines) < 2:
        raise ValueError("it has no numbers")
    for record, (number, _) in zip(csv.DictReader(line for _, line in lines), lines[1:], strict=False):
        if None in record:
            raise ValueError(f"line {number}: more values than there are columns")
        fields = {key: _value(key, value) for key, value in record.items() if value}
        try:
            rows.append(Printed.model_validate(fields | {"seeds": seeds}))
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            raise ValueError(f"line {number}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}") from None
    return tuple(rows)


def _value(field: str, text: str) -> str | float:
    try:
        return float(text) if field in ("accuracy", "noise_std", "weight_std") else text
    except ValueError:
        return text
