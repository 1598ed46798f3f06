"""Schedules: a factor between 0 and 1 as a function of how far the training is."""

from __future__ import annotations

from abc import abstractmethod
from math import cos, pi, prod
from typing import ClassVar, Literal

from pydantic import Field

from nrbench.base.component import Component

_PAPER = "Incorruptible Neural Networks (ICLR 2026 submission), section 5.2: dynamic perturbation schedules"


class Schedule(Component, family="schedules"):
    """Family: a factor for each step of a training, of its perturbation strength or of its learning rate."""

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """Return the factor at `progress` = t/T, for step t = 0 … T-1 of T."""


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

    def __call__(self, progress: float) -> float:
        return float(progress >= self.until)


class Product(Schedule):
    """The product of several: `[{name: linear, until: 0.05}, {name: cosine}]` is a cosine with a warm-up."""

    name: Literal["product"] = "product"

    of: tuple[Schedule, ...] = Field(min_length=1)
    """The factors."""

    def __call__(self, progress: float) -> float:
        return prod(schedule(progress) for schedule in self.of)


class Cosine(Schedule):
    """½ (1 + cos(π · progress)): from 1 down to 0, the usual decay of a learning rate."""

    name: Literal["cosine"] = "cosine"
    paper: ClassVar[str] = "Loshchilov & Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts (eq. 5)"

    def __call__(self, progress: float) -> float:
        return 0.5 * (1.0 + cos(pi * progress))
