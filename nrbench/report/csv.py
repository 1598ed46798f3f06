"""The leaderboard as CSV, one line a row."""

from __future__ import annotations

import csv
import io

from nrbench.board.leaderboard import Leaderboard, Row

COLUMNS = (
    "dataset", "backbone", "method", "noise", "selection", "batch_norm", "status", "reason",
    "accuracy", "noise_std", "weight_std", "interval_low", "interval_high", "seeds", "draws", "selected_epochs",
    "clean_accuracy_there", "minimum", "quantile_5", "yield_1",
    "difference_to", "difference", "difference_low", "difference_high",
    "passes_per_step", "displacement_norm", "weight_norm", "validation_accuracy", "seed_std", "draw_std", "cells",
)  # fmt: skip


def csv_text(board: Leaderboard) -> str:
    """Return the rows of a leaderboard; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in board.rows:
        writer.writerow({key: _safe(value) for key, value in _flat(row).items()})
    return out.getvalue()


def _flat(row: Row) -> dict[str, object]:
    low, high = row.interval or (None, None)
    change = row.difference
    below, above = (change.interval if change else None) or (None, None)
    return row.model_dump(include=set(COLUMNS) - {"difference"}) | {
        "reason": row.reason,
        "selected_epochs": " ".join(map(str, row.selected_epochs)),
        "cells": " ".join(row.cells),
        "interval_low": low,
        "interval_high": high,
        "difference_to": change.to if change else None,
        "difference": change.mean if change else None,
        "difference_low": below,
        "difference_high": above,
    }


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
