"""Exporting: judged weights as a file that other programs read."""

from __future__ import annotations

from dataclasses import dataclass

from safetensors.torch import save

from nrbench.base.errors import StoreError, UsageError
from nrbench.jobs.results import CellResult
from nrbench.jobs.store import Store


@dataclass(frozen=True, slots=True)
class Exported:
    """The weights of a cell as the content of a file."""

    cell: str
    training: str
    epoch: int
    content: bytes


def exported(store: Store, start: str) -> Exported:
    """Return the weights that the cell whose key starts like this was judged on, as a safetensors file.

    Raise `UsageError` when there is no such cell, or it has no weights, and `StoreError` when they are lost.
    """
    cell = store.find(start)
    result = store.result(cell)
    if not isinstance(result, CellResult) or result.status != "ok":
        raise UsageError(f"cell {cell} was not judged: {'nothing' if result is None else result.status}")
    stored = store.training(result.training)
    tensors = stored.weights(stored.record(), result.epoch)
    if tensors is None:
        raise StoreError(f"the weights of epoch {result.epoch} in {stored.root} are lost; run its suite with --force")
    about = {"cell": cell, "training": result.training, "epoch": str(result.epoch)}
    return Exported(cell, result.training, result.epoch, save(tensors, metadata=about))
