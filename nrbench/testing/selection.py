"""Checks of selections."""

from __future__ import annotations

import torch

from nrbench.families.selection import Selection


def check_selection_chooses_a_trained_epoch(selection: Selection) -> None:
    """Whatever the scores, it chooses one of the epochs there are."""
    chance = torch.Generator().manual_seed(0)
    scores: list[int | None] = torch.randint(0, 5, (20,), generator=chance).tolist()
    for count in range(1, len(scores) + 1):
        chosen = selection.choose(scores[:count])
        assert 1 <= chosen <= count, f"of {count} epochs it chooses {chosen}"


CHECKS = (check_selection_chooses_a_trained_epoch,)
