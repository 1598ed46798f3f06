"""References: numbers that somebody printed, to be shown beside one's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from pydantic import Field, field_validator

from nrbench.base.component import Frozen
from nrbench.base.csv import csv_models
from nrbench.base.data_file import TableFile
from nrbench.families.row import Row


class Printed(Frozen):
    """A number as it stands in a file, under the labels that it has in the suite. Accuracies are in percent."""

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


class Reference(Frozen):
    """A file of printed numbers, and how many seeds each is the mean of."""

    file: TableFile
    """A CSV file with the columns table, dataset, backbone, method, noise, accuracy, noise_std and weight_std, relative to
    the suite's file."""
    seeds: int = Field(default=3, ge=1)
    """Training seeds behind each number."""

    @field_validator("file")
    @classmethod
    def _is_a_table(cls, file: TableFile) -> TableFile:
        file.check_content(lambda content: csv_models(content, Printed))
        return file

    @cached_property
    def tables(self) -> Mapping[str, tuple[Row, ...]]:
        """The numbers of each table, in the order of the file; raise `DataError` when it has changed since it was read."""
        found: dict[str, tuple[Row, ...]] = {}
        for line in csv_models(self.file.read(), Printed):
            fields = line.model_dump(exclude={"table"})
            found[line.table] = (*found.get(line.table, ()), Row(**fields, seeds=self.seeds))
        return found
