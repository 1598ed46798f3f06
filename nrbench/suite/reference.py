"""References: numbers that somebody printed, to be shown beside one's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from nrbench.base.component import Frozen
from nrbench.base.csv import csv_models, line_numbers
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
    unit: Literal["percent", "fraction"] | None = None
    """What the numbers are in: percent, which is taken where nothing is said and none is below 1, or fractions of 1."""

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        try:
            self.file.check_content(self._check)
        except ValueError as error:
            raise ValueError(f"file: {error}") from None
        return self

    def _check(self, content: bytes) -> None:
        lines = list(zip(line_numbers(content), csv_models(content, Printed), strict=True))
        first: dict[tuple[str, ...], int] = {}
        for number, line in lines:
            place = (line.table, line.dataset, line.backbone, line.method, line.noise)
            if (known := first.setdefault(place, number)) != number:
                raise ValueError(
                    f"line {number} gives the number of line {known} again: {line.method} under {line.noise}"
                )
        small = [number for number, line in lines if 0 < line.accuracy < 1]
        large = [number for number, line in lines if line.accuracy > 1]
        if self.unit == "fraction" and large:
            raise ValueError(f"line {large[0]} is above 1, and no fraction")
        if self.unit is None and small:
            beside = f", and line {large[0]} above it" if large else ""
            raise ValueError(f"line {small[0]} is below 1 %{beside}: say unit: percent or unit: fraction")

    @cached_property
    def tables(self) -> Mapping[str, tuple[Row, ...]]:
        """The numbers of each table, in the order of the file; raise `DataError` when it has changed since it was read."""
        found: dict[str, tuple[Row, ...]] = {}
        for line in csv_models(self.file.read(), Printed):
            fields = line.model_dump(exclude={"table"})
            for name in ("accuracy", "noise_std", "weight_std") if self.unit == "fraction" else ():
                fields[name] = None if fields[name] is None else 100 * fields[name]
            found[line.table] = (*found.get(line.table, ()), Row(**fields, seeds=self.seeds))
        return found
