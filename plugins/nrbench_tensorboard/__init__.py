"""The TensorBoard watcher: the loss of every training as it goes on."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_tensorboard.watcher import TensorBoard

__all__ = ["TensorBoard", "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The watcher of this package; it needs the extra `tensorboard` only when it is used."""
    return [TensorBoard]
