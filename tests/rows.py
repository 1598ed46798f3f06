"""Rows of a leaderboard, made by hand."""

from __future__ import annotations

from typing import Any

from nrbench import Row


def row(
    method: str, by_seed: tuple[float | None, ...], noise: str = "clean", backbone: str = "net", **changes: Any
) -> Row:
    """A row with the accuracy of each seed; without any of them it is incomplete."""
    known = [value for value in by_seed if value is not None]
    given = {
        "method": method,
        "noise": noise,
        "backbone": backbone,
        "dataset": "data",
        "selection": "last",
        "accuracy": sum(known) / len(known) if known else None,
        "by_seed": by_seed,
        "seeds": len(by_seed),
        "status": "ok" if known else "incomplete",
    }
    return Row(**given | changes)


def printed(method: str, accuracy: float, std: float | None, *, noise: str = "clean", seeds: int = 3) -> Row:
    """A row as somebody printed it: a mean and a standard deviation over seeds."""
    return Row(
        method=method,
        noise=noise,
        backbone="net",
        dataset="data",
        accuracy=accuracy,
        weight_std=std,
        seeds=seeds,
    )
