"""Rows: what the stored results of a method's seeds amount to under one column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nrbench.base.statistics import mean, quantile, std, t_interval, variance_components
from nrbench.families.row import Column, Difference, Row, Status
from nrbench.families.selection import chosen_on
from nrbench.jobs.results import CellFailure, CellResult, Result, accuracies, score
from nrbench.suite.suite import Suite

Results = Mapping[tuple[Column, str], Sequence[Result]]
"""What is stored for each row's cells, in the order of seeds, by column and method."""


def rows(suite: Suite, results: Results, *, level: float) -> dict[tuple[Column, str], Row]:
    """Return every row of a suite by column and method; cells without a result are shown as such."""
    return {position: _row(suite, *position, results, level) for position in suite.rows}


def _row(suite: Suite, column: Column, method: str, results: Results, level: float) -> Row:
    found = results[column, method]
    judged = [result for result in found if isinstance(result, CellResult)]
    whole = [result for result in judged if result.status == "ok"]
    status, reason = _status(found)
    row = Row(
        method=method,
        **column._asdict(),
        status=status,
        reason=reason,
        seeds=len(whole),
        draws=max((len(result.correct) for result in judged), default=0),
        by_seed=tuple(map(score, found)),
        selected_on=chosen_on(suite.selections[column.selection], suite.noise[column.noise]),
        cells=tuple(cell.key for cell in suite.rows[column, method]),
    )
    if not whole:
        return row
    base = () if method == suite.baseline else results.get((column, suite.baseline), ())
    difference = _difference(suite.baseline, found, base, level)
    return row.replace(difference=difference, **_numbers(whole, row.selected_on == "validation", level=level))


def _status(found: Sequence[Result]) -> tuple[Status, str | None]:
    """Return what became of a row's cells, and why it is not whole where somebody can say."""
    failure = next((cell for cell in found if isinstance(cell, CellFailure)), None)
    if failure is not None:
        return failure.status, _reason(failure)
    if any(cell is not None and cell.status == "diverged" for cell in found):
        return "diverged", "the training loss is not finite"
    return ("incomplete" if None in found else "ok"), None


def _numbers(whole: Sequence[CellResult], held_out: bool, *, level: float) -> dict[str, Any]:
    """Return the numbers of a row, from the results of its seeds that have one."""
    by_seed = [accuracies(result) for result in whole]
    seed_means = [value for result in whole if (value := score(result)) is not None]
    spreads = [spread for draws in by_seed if (spread := std(draws)) is not None]
    chips = [accuracy for draws in by_seed for accuracy in draws]
    chosen_with = _validation(whole) if held_out else ()
    close = [100 * (r.clean_correct - correct) <= r.images for r in whole for correct in r.correct]
    between, within = variance_components(by_seed) or (None, None)
    return {
        "accuracy": _accuracy(whole),
        "noise_std": mean(spreads) if spreads else None,
        "weight_std": std(seed_means),
        "interval": t_interval(seed_means, level=level),
        "seed_std": between,
        "draw_std": within,
        "validation_by_seed": chosen_with,
        "validation_accuracy": mean(chosen_with) if chosen_with else None,
        "selected_epochs": tuple(result.epoch for result in whole),
        "clean_accuracy_there": mean(100 * result.clean_correct / result.images for result in whole),
        "minimum": min(chips),
        "quantile_5": quantile(chips, 0.05),
        "yield_1": sum(close) / len(close),
        "passes_per_step": mean(result.passes_per_step for result in whole),
        "displacement_norm": _mean_of_known(result.displacement_norm for result in whole),
        "weight_norm": _mean_of_known(result.weight_norm for result in whole),
    }


def _accuracy(whole: Sequence[CellResult]) -> float:
    """Return the mean accuracy in percent, of whole numbers where all seeds have as many images and draws."""
    counts = [(sum(result.correct), result.images * len(result.correct)) for result in whole]
    if len({of for _, of in counts}) > 1:
        return mean(100 * right / of for right, of in counts)
    return 100 * sum(right for right, _ in counts) / sum(of for _, of in counts)


def _validation(results: Sequence[CellResult]) -> tuple[float, ...]:
    scores = [result.chosen_with for result in results if result.chosen_with is not None]
    if len(scores) < len(results):  # nothing was chosen for weights that were trained elsewhere
        return ()
    return tuple(100 * each.correct / each.images for each in scores)


def _reason(failure: CellFailure) -> str:
    return failure.message + (f"; it printed {failure.log}" if failure.log else "")


def _difference(baseline: str, found: Sequence[Result], base: Sequence[Result], level: float) -> Difference | None:
    pairs = [(score(a), score(b)) for a, b in zip(found, base, strict=False)]
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    if not differences:
        return None
    interval = t_interval(differences, level=level)
    return Difference(to=baseline, mean=mean(differences), interval=interval)


def _mean_of_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None
