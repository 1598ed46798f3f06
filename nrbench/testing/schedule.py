"""Checks of schedules."""

from __future__ import annotations

from math import isfinite

from nrbench.families.schedule import Schedule
from nrbench.families.step import Clock


def check_schedule_is_a_factor(schedule: Schedule) -> None:
    """It is finite and not negative throughout a training."""
    for step in range(1000):
        factor = schedule.factor_at(Clock(step, total=1000, lr_factor=1 - step / 1000))
        assert isfinite(factor), f"at {step / 1000} of the training it is {factor}"
        assert factor >= 0, f"at {step / 1000} of the training it is {factor}"


CHECKS = (check_schedule_is_a_factor,)
