"""Schedules: a factor between 0 and 1 as a function of how far the training is."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from math import cos, pi, prod
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from nrbench.base.component import Component
from nrbench.families.step import Clock

PLACES = 1000
"""At how many places of a training a schedule is looked at."""
_PAPER = "Incorruptible Neural Networks (ICLR 2026 submission), section 5.2: dynamic perturbation schedules"


class Schedule(Component, family="schedules"):
    """Family: a factor for each step of a training, of its perturbation strength or of its learning rate."""

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """Return the factor at `progress` = t/T, for step t = 0 … T-1 of T."""

    def factor_at(self, clock: Clock) -> float:
        """Return the factor at a step: that at its progress, unless a schedule looks at more than that."""
        return self(clock.progress)


class Constant(Schedule):
    """1 throughout."""

    name: Literal["constant"] = "constant"

    def __call__(self, progress: float) -> float:
        return 1.0


class _Ramp(Schedule):
    """0 at the start, 1 from the fraction `until` of the training on."""

    paper: ClassVar[str] = _PAPER

    until: float = Field(default=0.5, gt=0, le=1)
    """Where the ramp ends, as a fraction of the training."""


class Linear(_Ramp):
    """min(progress / until, 1)."""

    name: Literal["linear"] = "linear"

    def __call__(self, progress: float) -> float:
        return min(progress / self.until, 1.0)


class Quadratic(_Ramp):
    """min(progress / until, 1)²."""

    name: Literal["quadratic"] = "quadratic"

    def __call__(self, progress: float) -> float:
        return min(progress / self.until, 1.0) ** 2


class OffToOn(_Ramp):
    """0 before `until`, 1 from there on."""

    name: Literal["off_to_on"] = "off_to_on"

    @field_validator("until")
    @classmethod
    def _is_reached(cls, until: float) -> float:
        if until == 1:
            raise ValueError("it would never be on: the last step is before 1")
        return until

    def __call__(self, progress: float) -> float:
        return float(progress >= self.until)


class Product(Schedule):
    """The product of several: `[{name: linear, until: 0.05}, {name: cosine}]` is a cosine with a warm-up."""

    name: Literal["product"] = "product"

    of: tuple[Schedule, ...] = Field(min_length=1)
    """The factors."""

    def __call__(self, progress: float) -> float:
        return prod(schedule(progress) for schedule in self.of)

    def factor_at(self, clock: Clock) -> float:
        return prod(schedule.factor_at(clock) for schedule in self.of)


class _Made(Schedule):
    """Made of another schedule, and never below 0."""

    of: Schedule = Linear()

    @model_validator(mode="after")
    def _stays_above(self) -> Self:
        for step in range(PLACES):
            self.factor_at(Clock(step, total=PLACES))
        return self

    @abstractmethod
    def _made(self, factor: float) -> float:
        """Return the factor for one of the other's."""

    def __call__(self, progress: float) -> float:
        return self._not_below(self.of(progress))

    def factor_at(self, clock: Clock) -> float:
        return self._not_below(self.of.factor_at(clock))

    def _not_below(self, factor: float) -> float:
        made = self._made(factor)
        if made < 0:
            raise ValueError(f"where {self.of.name} is {factor:g} the factor would be {made:g}, which is below 0")
        return made


class Between(_Made):
    """From `low` to `high` as another schedule goes from 0 to 1; a low above the high falls."""

    name: Literal["between"] = "between"

    low: float = Field(default=0.0, ge=0)
    """The factor where the other is 0."""
    high: float = Field(default=1.0, ge=0)
    """The factor where the other is 1."""
    of: Schedule = Linear()
    """The other."""

    def _made(self, factor: float) -> float:
        return self.low + (self.high - self.low) * factor


class Falling(_Made):
    """1 less another schedule, such as from 1 to 0 in the first half: `{name: falling, of: {name: linear, until: 0.5}}`."""

    name: Literal["falling"] = "falling"

    of: Schedule = Linear()
    """What it is 1 less of; a schedule that stays between 0 and 1."""

    def _made(self, factor: float) -> float:
        return 1.0 - factor


class Steps(Schedule):
    """One factor before the first of several places of the training, and another from each of them on."""

    name: Literal["steps"] = "steps"

    at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(min_length=1)
    """The places, as fractions of the training."""
    factors: tuple[Annotated[float, Field(ge=0)], ...]
    """The factors, one more than places."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.factors) != len(self.at) + 1:
            raise ValueError(f"{len(self.at)} places have {len(self.at) + 1} factors around them")
        if list(self.at) != sorted(set(self.at)):
            raise ValueError("the places have to rise")
        return self

    def __call__(self, progress: float) -> float:
        return self.factors[bisect_right(self.at, progress)]


class CosineRamp(_Ramp):
    """½ (1 - cos(π · min(progress / until, 1))): from 0 to 1, slowly at both ends."""

    name: Literal["cosine_ramp"] = "cosine_ramp"

    def __call__(self, progress: float) -> float:
        return 0.5 * (1.0 - cos(pi * min(progress / self.until, 1.0)))


class LearningRate(Schedule):
    """The factor of the learning rate, whatever schedule that follows: a strength that goes down with it."""

    name: Literal["learning_rate"] = "learning_rate"

    def __call__(self, progress: float) -> float:
        raise ValueError("the learning rate cannot follow itself, nor be known without it")

    def factor_at(self, clock: Clock) -> float:
        return clock.lr_factor


class Cosine(Schedule):
    """½ (1 + cos(π · progress)): from 1 down to 0, the usual decay of a learning rate."""

    name: Literal["cosine"] = "cosine"
    paper: ClassVar[str] = "Loshchilov & Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts (eq. 5)"

    def __call__(self, progress: float) -> float:
        return 0.5 * (1.0 + cos(pi * progress))
