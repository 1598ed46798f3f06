"""Checks of executors."""

from __future__ import annotations

from nrbench.families.executor import Executor, Failure


def check_executor_yields_each_item_once(executor: Executor) -> None:
    """Every item comes back once with its value, and one that raises comes back as a failure and costs no other."""
    outcomes = list(executor.map(halved, range(10)))
    assert sorted(outcome.item for outcome in outcomes) == list(range(10))
    for outcome in outcomes:
        if outcome.item % 2:
            assert isinstance(outcome.result, Failure)
            assert outcome.result.kind == "error"
            assert "ValueError" in outcome.result.message
            assert "halved" in outcome.result.traceback
        else:
            assert outcome.result == outcome.item // 2


def halved(item: int) -> int:
    """Half an even number; raises `ValueError` for an odd one."""
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item // 2


CHECKS = (check_executor_yields_each_item_once,)
