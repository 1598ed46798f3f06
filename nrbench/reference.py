"""References: numbers that somebody printed, to be shown beside one's own."""

from __future__ import annotations

import csv
from functools import cached_property

from pydantic import Field, ValidationError, field_validator

from nrbench.component import DataFile, Frozen
from nrbench.errors import DataError


class Printed(Frozen):
    """A number as it was printed, under the labels that it has in the suite. Accuracies are in percent."""

    table: str = ""
    """The table it stands in."""
    dataset: str
    backbone: str
    method: str
    """A label of the suite where the strength is known, else one that the pattern of its group matches."""
    noise: str
    accuracy: float
    noise_std: float | None = None
    """Standard deviation between draws."""
    weight_std: float | None = None
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
            _parsed(file.read().decode(), 1)
        except DataError:  # a lock that is read where the file is not: it was checked when it was locked
            return file
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            raise ValueError(f"{file.path}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}") from None
        return file

    @cached_property
    def rows(self) -> tuple[Printed, ...]:
        """The numbers, in the order of the file; raise `DataError` when it has changed since it was read."""
        return _parsed(self.file.read().decode(), self.seeds)


def _parsed(text: str, seeds: int) -> tuple[Printed, ...]:
    numbers = {"accuracy", "noise_std", "weight_std"}
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    rows = []
    for record in csv.DictReader(lines):
        given = {key: value for key, value in record.items() if value}
        fields = {key: float(value) if key in numbers else value for key, value in given.items()}
        rows.append(Printed.model_validate(fields | {"seeds": seeds}))
    return tuple(rows)
