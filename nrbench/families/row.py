"""Rows of a leaderboard, and filters that say which of them are meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, WithJsonSchema

from nrbench.base.component import Frozen
from nrbench.base.statistics import Interval, mean, std

BatchNorm = Literal["frozen", "recalibrated"]
"""Running statistics at evaluation: as trained, or estimated anew at each draw's w + δ on 1,024 training images."""

Status = Literal["ok", "error", "diverged", "timeout", "out_of_memory", "killed", "incomplete"]


class Column(NamedTuple):
    """The labels of what a method is judged under."""

    dataset: str
    backbone: str
    selection: str
    batch_norm: BatchNorm
    noise: str


class Shown(NamedTuple):
    """How the report shows a field of a row: what stands above it, and with how many decimals."""

    heading: str
    digits: int = 2


class Difference(Frozen):
    """The paired difference to the baseline: same seeds, same draws."""

    to: str
    mean: float
    """Percentage points."""
    interval: Interval | None
    """95 % t interval over the seeds."""


class Row(Frozen):
    """A method under one column. Accuracies are in percent; a spread that needs more values than there are is null.

    A field is a column of leaderboard.json and leaderboard.csv and, where it is `Shown`, of the report's table of every row.
    A number that somebody printed is a row too, with what was printed of it.
    """

    method: Annotated[str, Shown("method")]
    noise: Annotated[str, Shown("noise")]
    backbone: Annotated[str, Shown("backbone")]
    dataset: Annotated[str, Shown("data set")]
    selection: Annotated[str, Shown("selection")] = ""
    batch_norm: Annotated[BatchNorm, Shown("BatchNorm")] = "frozen"
    status: Annotated[Status, Shown("status")] = "ok"
    reason: Annotated[str | None, Shown("reason")] = Field(default=None, exclude=True)
    """The first failure's message; it may name paths, so it is shown but is no part of leaderboard.json."""
    accuracy: Annotated[float | None, Shown("accuracy")] = None
    """Mean over seeds of the mean over draws."""
    noise_std: float | None = None
    """Mean over seeds of the standard deviation over draws (ddof 1)."""
    weight_std: float | None = None
    """Standard deviation over seeds of the mean over draws (ddof 1)."""
    interval: Annotated[Interval | None, Shown("95 % interval")] = None
    """95 % t interval over the seeds."""
    difference: Annotated[Difference | None, Shown("− baseline")] = None
    leading: Annotated[bool | None, Shown("leads")] = None
    """Whether it has the highest accuracy of its column or cannot be told from the one that has: paired t test over seeds,
    Holm at 5 %; null for what is not whole."""
    seeds: int = 0
    """Seeds that the accuracy is the mean of."""
    draws: int = 0
    by_seed: tuple[float | None, ...] = ()
    """Mean over draws for each seed; null for a seed without a result."""
    validation_accuracy: float | None = None
    """Accuracy on the held-out images that chose the epochs, under the noise they are chosen under; else null."""
    validation_by_seed: tuple[float, ...] = ()
    """The same of each seed; nothing unless every seed has one."""
    selected_on: Literal["validation", "test"] | None = None
    """The images that epochs are chosen on, if any are."""
    clean_accuracy_there: Annotated[float | None, Shown("clean there")] = None
    """Accuracy without noise of the very weights that were judged."""
    minimum: Annotated[float | None, Shown("worst chip")] = None
    """The worst chip: seeds × draws."""
    quantile_5: Annotated[float | None, Shown("5 % chip")] = None
    """5 % quantile over chips."""
    yield_1: Annotated[float | None, Shown("yield")] = None
    """Share of chips that lose no more than one point against the same weights without noise."""
    selected_epochs: Annotated[tuple[int, ...], Shown("epochs")] = ()
    passes_per_step: float | None = None
    """Forward-backward passes per training step."""
    displacement_norm: Annotated[float | None, Shown("‖δ‖", digits=3)] = None
    """‖δ‖, mean over chips."""
    weight_norm: Annotated[float | None, Shown("‖w‖", digits=3)] = None
    """‖w‖ of all weights, those that the noise leaves alone too, mean over seeds."""

    seed_std: float | None = None
    """What is between seeds beside the draws: variance component by the method of moments, as a standard deviation."""
    draw_std: float | None = None
    """The variance component between draws, as a standard deviation."""
    cells: tuple[str, ...] = ()
    """The key of each seed's cell, which `nrbench export` takes."""

    @property
    def compared_on(self) -> Literal["validation", "test"]:
        """The images that the best of a group is chosen on: those that epochs are, if they meet what is judged.

        Validation images are met with BatchNorm's statistics as they were trained. A strength that is best then need not be
        with statistics estimated anew, so what is judged with those is compared by that.
        """
        return "validation" if self.selected_on == "validation" and self.batch_norm == "frozen" else "test"

    @property
    def chosen_by(self) -> float | None:
        """What the best of a group is the highest of; diverged is worse than anything, and what is not whole has nothing."""
        if self.status != "ok":
            return 0.0 if self.status == "diverged" else None
        return self.validation_accuracy if self.compared_on == "validation" else self.accuracy

    @property
    def chosen_by_seed(self) -> tuple[float | None, ...]:
        """The same of each seed."""
        if self.status == "diverged":
            return (0.0,) * len(self.by_seed)
        return self.validation_by_seed if self.compared_on == "validation" else self.by_seed

    @property
    def column(self) -> Column:
        """What the method was judged under."""
        return Column(self.dataset, self.backbone, self.selection, self.batch_norm, self.noise)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Patterns = Annotated[tuple[str, ...], BeforeValidator(_listed), WithJsonSchema(_TEXTS)]
"""A label, or a pattern for labels such as "SAM *", or a list of them; none leaves it open."""


class RowFilter(Frozen):
    """Rows by their labels: each field is a label, a pattern such as "SAM *", or a list of them. What is not said is open."""

    method: Patterns = ()
    """The method."""
    best_of: Patterns = ()
    """A group of methods of which the best is taken: on validation where epochs are chosen there, strength and epoch
    together, else by the accuracy itself, as with BatchNorm's statistics estimated anew, which validation images do not
    meet."""
    backbone: Patterns = ()
    """The backbone; with several the best of them is taken."""
    dataset: Patterns = ()
    """The data set."""
    noise: Patterns = ()
    """The noise model."""

    def covers(self, row: Row) -> bool:
        """Whether a row is meant."""
        asked = (
            (self.method, row.method), (self.best_of, row.method), (self.backbone, row.backbone),
            (self.dataset, row.dataset), (self.noise, row.noise),
        )  # fmt: skip
        return all(not patterns or matches(patterns, label) for patterns, label in asked)


def matches(patterns: Iterable[str], label: str) -> bool:
    """Whether a label is one of the patterns, as it stands or with `*`, `?` and `[…]` in it."""
    return any(label == pattern or fnmatchcase(label, pattern) for pattern in patterns)


def covered(rows: Iterable[Row], filters: Sequence[RowFilter]) -> list[Row]:
    """Return the rows that all filters mean, in their order."""
    return [row for row in rows if all(each.covers(row) for each in filters)]


def chooses(filters: Sequence[RowFilter]) -> bool:
    """Whether filters ask for the best of the rows they mean."""
    return any(each.best_of or len(each.backbone) > 1 for each in filters)


def best(rows: Sequence[Row]) -> Row | None:
    """Return the best of some rows, the first of equals; None unless every one of them has a number to choose by."""
    chosen: Row | None = None
    for row in rows:
        if row.chosen_by is None:
            return None
        if chosen is None or (chosen.chosen_by or 0) < row.chosen_by:
            chosen = row
    return chosen


def unprejudiced(rows: Sequence[Row]) -> Row | None:
    """Return the best of some rows with each seed's accuracy being that of the row that is best by the other seeds.

    The accuracy of the best is too high: it was chosen for it. Leaving one seed out, what a seed adds to a choice is never
    what the choice is judged by. None where nothing can be left out: for a single seed, or rows without all of their numbers.
    """
    chosen = best(rows)
    seeds = len(chosen.by_seed) if chosen else 0
    if chosen is None or seeds < 2 or any(len(row.chosen_by_seed) != seeds for row in rows):
        return None
    by_seed = [_best_without(rows, seed).by_seed[seed] for seed in range(seeds)]
    known = [accuracy for accuracy in by_seed if accuracy is not None]
    if len(known) < seeds:
        return None
    if tuple(known) == chosen.by_seed:
        return chosen
    return chosen.replace(by_seed=tuple(known), accuracy=mean(known), weight_std=std(known))


def _best_without(rows: Sequence[Row], seed: int) -> Row:
    return max(rows, key=lambda row: mean(v or 0.0 for s, v in enumerate(row.chosen_by_seed) if s != seed))
