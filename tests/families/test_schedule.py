from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

import pytest
from pydantic import ValidationError

from nrbench import Clock
from nrbench.families.schedule import (
    Between,
    Constant,
    Cosine,
    CosineRamp,
    Falling,
    LearningRate,
    Linear,
    OffToOn,
    Product,
    Quadratic,
    Schedule,
    Steps,
)
from nrbench.suite.recipe import Recipe


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Constant(), (1, 1, 1, 1)),
        (Linear(until=0.5), (0, 0.5, 1, 1)),
        (Quadratic(until=0.5), (0, 0.25, 1, 1)),
        (OffToOn(until=0.5), (0, 0, 1, 1)),
        (Linear(until=1), (0, 0.25, 0.5, 1)),
        (Quadratic(until=1), (0, 0.0625, 0.25, 1)),
        (Cosine(), (1, 0.5 * (1 + cos(pi / 4)), 0.5, 0)),
        (CosineRamp(until=0.5), (0, 0.5, 1, 1)),
        (CosineRamp(until=1), (0, 0.5 * (1 - cos(pi / 4)), 0.5, 1)),
        (Steps(at=(0.25, 0.75), factors=(0.5, 2, 1)), (0.5, 2, 2, 1)),
        (Between(low=0.2, high=1, of=Linear(until=0.5)), (0.2, 0.6, 1, 1)),
        (Between(low=1, high=0.5, of=Linear(until=1)), (1, 0.875, 0.75, 0.5)),
        (Falling(of=Quadratic(until=1)), (1, 0.9375, 0.75, 0)),
        (Product(of=(Linear(until=0.5), Falling(of=Linear(until=1)))), (0, 0.375, 0.5, 0)),
    ],
    ids=lambda value: repr(value) if isinstance(value, Schedule) else "",
)
def test_formulas_at_0_quarter_half_and_1(schedule: Schedule, values: tuple[float, ...]) -> None:
    """Each ramp is its formula at the start, at a quarter, at half and at the end of the training."""
    assert [schedule(progress) for progress in (0, 0.25, 0.5, 1)] == pytest.approx(values)


def test_a_strength_follows_the_learning_rate_inside_others() -> None:
    """Alone, inside a product, between two values and falling, the factor is that of the clock, and not of the progress."""
    clock = Clock(step=5, total=10, lr_factor=0.25)
    follows = LearningRate()
    assert follows.factor_at(clock) == 0.25
    assert Product(of=(Linear(until=1), follows)).factor_at(clock) == 0.125
    assert Between(low=1, high=3, of=follows).factor_at(clock) == 1.5
    assert Falling(of=Falling(of=follows)).factor_at(clock) == 0.25


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Steps(at=(0.5,), factors=(1,)), "1 places have 2 factors"),
        (lambda: Steps(at=(0.5, 0.2), factors=(1, 2, 3)), "have to rise"),
        (lambda: Steps(at=(1.0,), factors=(1, 2)), "less than 1"),
        (lambda: Falling(of=Between(high=2.0)), "below 0"),
        (lambda: OffToOn(until=1), "never be on"),
        (lambda: Recipe(lr_schedule=LearningRate()), "cannot follow itself"),
        (lambda: Recipe(lr_schedule=Product(of=(Cosine(), LearningRate()))), "cannot follow itself"),
    ],
)
def test_schedules_that_cannot_be(make: Callable[[], object], message: str) -> None:
    """Places without factors, factors below 0, what is never reached, and a learning rate that follows itself."""
    with pytest.raises(ValidationError, match=message):
        make()
