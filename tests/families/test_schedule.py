from __future__ import annotations

from math import cos, pi

import pytest

from nrbench.families.schedule import Constant, Cosine, Linear, OffToOn, Quadratic, Schedule


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
    ],
    ids=lambda value: repr(value) if isinstance(value, Schedule) else "",
)
def test_formulas_at_0_quarter_half_and_1(schedule: Schedule, values: tuple[float, ...]) -> None:
    """Each ramp is its formula at the start, at a quarter, at half and at the end of the training."""
    assert [schedule(progress) for progress in (0, 0.25, 0.5, 1)] == pytest.approx(values)
