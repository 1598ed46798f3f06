"""What a method remembers between steps."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from math import isfinite
from typing import Any

from torch import Tensor


class State(MutableMapping[str, Any]):
    """What a method remembers between steps: tensors, integers and floats by name; it travels in the checkpoint.

    A name has no `/` in it: that is what stands between the name of a part and the names in it.
    """

    def __init__(self, values: dict[str, Any] | None = None, prefix: str = "") -> None:
        self._values: dict[str, Any] = {} if values is None else values
        self._prefix = prefix

    def within(self, name: str) -> State:
        """Return the state of a method inside this one: a part of the same checkpoint under a name of its own."""
        return State(self._values, f"{self._whole(name)}/")

    def everything(self) -> dict[str, Any]:
        """Return all values, those of parts under the path of their names."""
        return {name: value for name, value in self._values.items() if name.startswith(self._prefix)}

    def _whole(self, name: str) -> str:
        if "/" in name or not name:
            raise ValueError(f"{name!r} is no name in a state: it has a / in it, or nothing")
        return self._prefix + name

    def __getitem__(self, name: str) -> Any:
        return self._values[self._whole(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        if not (isinstance(value, Tensor) or (isinstance(value, int | float) and isfinite(value))):
            raise TypeError(
                f"the state {name!r} is {value!r:.60}; a checkpoint holds tensors, integers and finite floats"
            )
        self._values[self._whole(name)] = value

    def __delitem__(self, name: str) -> None:
        del self._values[self._whole(name)]

    def __iter__(self) -> Iterator[str]:
        own = (name.removeprefix(self._prefix) for name in self._values if name.startswith(self._prefix))
        return (name for name in own if "/" not in name)

    def __len__(self) -> int:
        return sum(1 for _ in self)
