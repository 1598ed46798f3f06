"""Random numbers in a training pass, such as dropout's masks: an image has its own, whichever part of the batch it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_SIZES = {"rand": 0, "randn": 0, "randint": 1, "randint.low": 2}
"""Which argument of a function is the size that it makes."""


class Axis(NamedTuple):
    """Where the images are in something that is drawn: along a dimension, so many numbers of it for each image."""

    dim: int
    each: int


Draws = tuple[Axis | None, ...]
"""Of each draw of a pass, in their order, where its images are; None if it is the same whatever the batch."""


def draws_of(passed: Callable[[int], object], smallest: int) -> Draws:
    """Return what a pass draws, given a function that passes so many images: found by passing two numbers of them.

    Raise `ValueError` if the draws of two passes do not correspond.
    """
    shapes = []
    for count in (smallest, smallest + 1):
        recorded = _Recorded()
        with recorded:
            passed(count)
        shapes.append(recorded.shapes)
    if len(shapes[0]) != len(shapes[1]):
        raise ValueError(
            "how often it draws random numbers depends on what it drew, so that no batch can be cut in parts"
        )
    return tuple(_axis(few, more, smallest) for few, more in zip(*shapes, strict=True))


def _axis(few: tuple[int, ...], more: tuple[int, ...], count: int) -> Axis | None:
    """Return along which dimension a draw grows with the number of images, given its shapes for `count` and one more."""
    grown = [dim for dim, (a, b) in enumerate(zip(few, more, strict=True)) if a != b]
    return Axis(grown[0], few[grown[0]] // count) if grown else None


class _Recorded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.shapes.append(tuple((result[0] if isinstance(result, tuple) else result).shape))
        return result


class OfImages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets a pass over some images of a batch draw for the whole batch, and gives each image what it has there."""

    def __init__(self, draws: Draws, rows: Tensor, size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._draws: Iterator[Axis | None] = iter(draws)
        self._rows, self._size = rows, size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags or (axis := next(self._draws, None)) is None:
            return func(*args, **kwargs)
        name = str(func.overloadpacket.__name__)
        if name == "native_dropout":
            source, share, *_ = args
            _, mask = func(torch.ones_like(self._whole(source, axis)), *args[1:], **kwargs)
            own = self._part(mask, axis)
            return source * own * (0.0 if share == 1 else 1 / (1 - share)), own
        if name.endswith("_like"):
            return self._part(func(self._whole(args[0], axis), *args[1:], **kwargs), axis)
        if name.endswith("_") and not any(isinstance(each, Tensor) for each in args[1:]):
            whole = self._whole(args[0], axis)
            func(whole, *args[1:], **kwargs)
            return args[0].copy_(self._part(whole, axis))
        at = _SIZES.get(f"{name}.low" if name == "randint" and len(args) > 2 else name)
        if at is None:
            raise ValueError(
                f"it draws random numbers by {func}, which a batch in parts cannot share with the whole batch"
            )
        size = list(args[at])
        size[axis.dim] = self._size * axis.each
        return self._part(func(*args[:at], size, *args[at + 1 :], **kwargs), axis)

    def _whole(self, part: Tensor, axis: Axis) -> Tensor:
        """Return an empty tensor for all images of the batch, in the memory format of a part."""
        shape = list(part.shape)
        shape[axis.dim] = self._size * axis.each
        whole = part.new_empty(shape)
        last = part.ndim == 4 and not part.is_contiguous() and part.is_contiguous(memory_format=torch.channels_last)
        return whole.contiguous(memory_format=torch.channels_last) if last else whole

    def _part(self, whole: Tensor, axis: Axis) -> Tensor:
        each: Tensor = whole.unflatten(axis.dim, (self._size, axis.each))  # type: ignore[no-untyped-call]
        return each.index_select(axis.dim, self._rows).flatten(axis.dim, axis.dim + 1)
