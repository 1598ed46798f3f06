"""A device as it was measured: a table of errors, levels and stuck cells."""

from __future__ import annotations

from functools import cached_property
from math import isfinite
from typing import Annotated, Literal

import torch
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from torch import Tensor

from nrbench import ADDED_LATER, Chance, Frozen, NoiseModel, Scale, TableFile, Weights, csv_models


class Point(Frozen):
    """What was measured at one target."""

    magnitude: float = Field(ge=0)
    """The target |w| / m, m being the unit of the weight's filter; or a conductance, with `g_max`."""
    mean: float = 0.0
    """Mean error in the same unit; positive is away from zero."""
    std: float = Field(ge=0)
    """Standard deviation of the error in the same unit."""

    def divided(self, unit: float) -> Point:
        """Return the point in another unit."""
        return Point(magnitude=self.magnitude / unit, mean=self.mean / unit, std=self.std / unit)


class _InUnits(Point):
    """A point whose unit is the largest weight."""

    @field_validator("magnitude", "mean", "std")
    @classmethod
    def _is_a_share(cls, value: float) -> float:
        if abs(value) > 1:
            raise ValueError(
                f"{value:g} is beyond 1, which is the largest weight of a filter: divide the table by the conductance that "
                "stands for it, or give that conductance as g_max"
            )
        return value


def _in_its_unit(point: Point, info: ValidationInfo) -> Point:
    if "g_max" in info.data and info.data["g_max"] is None:
        try:
            _InUnits.model_validate(point.model_dump())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"{first['loc'][0]}: {first['ctx']['error']}") from None
    return point


class DeviceProfile(NoiseModel):
    """A user's own device: the error of a stored weight as a function of its magnitude.

    A weight w = ± a · m is rounded to the nearest level, then becomes ± (a + mean(a)) · m + std(a) · m · z with z standard
    normal; between the points of the table mean and std are interpolated linearly, and beyond its ends they are held. A
    stuck cell reads 0 or, stuck on, ± m.
    """

    name: Literal["device_profile"] = "device_profile"

    g_max: Annotated[float | None, Field(gt=0), ADDED_LATER] = None
    """The conductance that stands for the largest weight, where the table is in conductances: all of it is divided by it."""
    table: Annotated[
        Annotated[tuple[Annotated[Point, AfterValidator(_in_its_unit)], ...], Tag("points")]
        | Annotated[TableFile, Tag("file")],
        Discriminator(lambda table: "points" if isinstance(table, list | tuple) else "file"),
    ]
    """Points of increasing magnitude, or a CSV file with the columns magnitude, mean and std (`#` starts a comment)."""
    levels: int | None = Field(default=None, ge=2)
    """The number of programmable magnitudes, equally spaced from 0 to m; none means analog."""
    stuck_off: float = Field(default=0.0, ge=0, le=1)
    """Probability that a weight reads 0, whatever was programmed."""
    stuck_on: float = Field(default=0.0, ge=0, le=1)
    """Probability that a weight reads the full magnitude m, with its own sign."""
    scale: Scale = Scale()
    """The unit m and the tensors that are stored on the device."""

    @field_validator("table")
    @classmethod
    def _is_a_table(cls, table: tuple[Point, ...] | TableFile, info: ValidationInfo) -> tuple[Point, ...] | TableFile:
        if "g_max" not in info.data:  # it is wrong itself
            return table
        unit = info.data["g_max"]
        point = Point if unit else _InUnits
        if isinstance(table, TableFile):
            table.check_content(lambda content: _increasing(csv_models(content, point), unit or 1.0))
        else:
            _increasing(table, unit or 1.0)
        return table

    @model_validator(mode="after")
    def _shares_are_shares(self) -> DeviceProfile:
        if self.stuck_off + self.stuck_on > 1:
            raise ValueError("stuck_off and stuck_on together exceed 1")
        return self

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The points of the table in units of m; `DataError` is raised if they are in a file that has changed since."""
        points = csv_models(self.table.read(), Point) if isinstance(self.table, TableFile) else self.table
        return points if self.g_max is None else tuple(point.divided(self.g_max) for point in points)

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        delta = {}
        for name, unit in self.scale.units(weights).items():
            weight = weights[name]
            sign = torch.where(weight < 0, -1.0, 1.0)
            magnitude = (weight.abs() / unit.clamp_min(torch.finfo(unit.dtype).tiny)).clamp_max(1)
            if self.levels is not None:
                magnitude = (magnitude * (self.levels - 1)).round() / (self.levels - 1)
            mean, std = _interpolated(self.points, magnitude)
            stored = sign * (magnitude + mean) + std * chance.normal(name, weight.shape)
            luck = chance.uniform(name, weight.shape, field="stuck")
            stored = torch.where(luck < self.stuck_off, 0.0, stored)
            stored = torch.where(luck >= 1 - self.stuck_on, sign, stored)
            delta[name] = (stored * unit - weight).to(weight.dtype)
        return delta


def _interpolated(points: tuple[Point, ...], at: Tensor) -> tuple[Tensor, Tensor]:
    grid, mean, std = (
        torch.tensor([getattr(point, name) for point in points], device=at.device, dtype=at.dtype)
        for name in ("magnitude", "mean", "std")
    )
    if len(points) == 1:
        return mean.expand(at.shape), std.expand(at.shape)
    right = torch.bucketize(at.contiguous(), grid).clamp(1, len(points) - 1)
    left = right - 1
    share = ((at - grid[left]) / (grid[right] - grid[left])).clamp(0, 1)
    return torch.lerp(mean[left], mean[right], share), torch.lerp(std[left], std[right], share)


def _increasing(points: tuple[Point, ...], unit: float) -> None:
    """Raise `ValueError` unless the magnitudes, in units of the largest weight and in float32, increase."""
    if not points:
        raise ValueError("the table has no points")
    if not all(isfinite(value / unit) for point in points for value in (point.magnitude, point.mean, point.std)):
        raise ValueError(f"divided by {unit:g} the table is not finite")
    grid = torch.tensor([point.magnitude / unit for point in points], dtype=torch.float32)
    if (grid.diff() <= torch.finfo(torch.float32).tiny).any():
        raise ValueError("the magnitudes of the table must increase")
