"""All randomness: derived from what it is for, never from when, where or in which order it is drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nrbench.base.component import canonical_json

STREAM_VERSION = 1
"""Raise it when any of the streams below changes; every result changes with it."""

Layout = Mapping[str, tuple[torch.Size, tuple[int, ...]]]
"""Shape and strides of each weight, by name."""


def derive(*coordinates: str | int) -> int:
    """Return the 128-bit seed that belongs to a list of logical coordinates, such as ("batches", seed, epoch)."""
    return int.from_bytes(sha256(canonical_json([STREAM_VERSION, *coordinates]).encode()).digest()[:16], "big")


def generator(*coordinates: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator seeded from coordinates; on the CPU torch keeps 32 bits of a seed, so 32 are given."""
    seeded = torch.Generator(device)
    return seeded.manual_seed(derive(*coordinates) & 0xFFFF_FFFF)


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed torch's own generators of the CPU and of a device, which initial weights and dropout draw from.

    They give the numbers that they give after `torch.manual_seed`, which writes down a stack trace for each kind of
    accelerator that is not there: 0.3 ms a call, and memory that is never given back.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


class Chance(ABC):
    """What a perturbation may draw from; every draw names the parameter it is for.

    A model that needs several independent numbers for a parameter names a `field` for each, so that adding one never
    shifts the others. A component inside another draws from a `part` of its own. What is drawn twice raises `ValueError`:
    the second answer could only be the same numbers again, or numbers that nothing names.
    """

    def __init__(self) -> None:
        self._drawn: set[tuple[str, str]] = set()
        self._below: dict[str, Chance] = {}

    def normal(self, parameter: str, shape: Sequence[int], *, field: str = "") -> Tensor:
        """Return independent standard normals, float32 of `shape` on the weights' device."""
        self._once(parameter, field)
        return self._numbers("normal", parameter, tuple(shape), field)

    def uniform(self, parameter: str, shape: Sequence[int], *, field: str = "") -> Tensor:
        """Return independent numbers uniform in [0, 1), float32 of `shape` on the weights' device."""
        self._once(parameter, field)
        return self._numbers("uniform", parameter, tuple(shape), field)

    def generator(self, parameter: str, *, field: str = "") -> torch.Generator:
        """Return a generator on the weights' device for any other distribution."""
        self._once(parameter, field)
        return self._generator(parameter, field)

    def part(self, name: str) -> Chance:
        """Return the independent chance of a component inside this one, such as a member of a sum or of a mixture."""
        return self._kept_below(f"part/{name}")

    def sample(self, index: int) -> Chance:
        """Return the independent chance of the sample `index` of the same step or draw."""
        return self._kept_below(f"sample/{index}")

    @property
    def read(self) -> Chance:
        """The chance that is fresh at every read of the same chip, for errors that come anew with each use of a weight."""
        return self._kept_below("read")

    def _kept_below(self, name: str) -> Chance:
        if name not in self._below:
            self._below[name] = self._made_below(*name.split("/", 1))
        return self._below[name]

    @abstractmethod
    def _numbers(
        self, kind: Literal["normal", "uniform"], parameter: str, shape: tuple[int, ...], field: str
    ) -> Tensor: ...

    @abstractmethod
    def _generator(self, parameter: str, field: str) -> torch.Generator: ...

    @abstractmethod
    def _made_below(self, kind: str, name: str = "") -> Chance: ...

    def _once(self, parameter: str, field: str) -> None:
        if (parameter, field) in self._drawn:
            what = f"{parameter!r}" + (f", field {field!r}," if field else "")
            raise ValueError(
                f"{what} was drawn already: name another field for another number, "
                "and give each component inside this one a chance.part(name) of its own"
            )
        self._drawn.add((parameter, field))


class EvaluationChance(Chance):
    """The chance of one simulated chip: NumPy's Philox under a 128-bit key, drawn contiguous on the CPU.

    The key holds the backbone's fingerprint, the seed index, the purpose and the draw, and neither suite, data set,
    method nor strength: all of them meet the same chips, and chips are independent across training seeds. Numbers are
    kept for as long as the chip lives, so that all strengths of a noise model share one draw (see `anew`); copies are
    handed out. What is drawn at a read is not kept.
    """

    def __init__(
        self,
        backbone: str,
        seed: int,
        purpose: str,
        draw: int,
        *,
        device: torch.device | str = "cpu",
        parts: tuple[str, ...] = (),
        reads: int = 0,
        kept: dict[tuple[object, ...], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self._coordinates = (backbone, seed, purpose, draw)
        self._device = torch.device(device)
        self._parts = parts
        self._reads = reads
        self._kept = kept

    @classmethod
    def chip(
        cls, backbone: str, seed: int, purpose: str, draw: int, *, device: torch.device | str = "cpu"
    ) -> EvaluationChance:
        """Return the chance of a chip that keeps its numbers."""
        return cls(backbone, seed, purpose, draw, device=device, kept={})

    def anew(self, *, reads: int = 0) -> EvaluationChance:
        """Return the same chip for another component, or for another read of it: nothing of it has been asked for."""
        return self._like(self._coordinates, self._parts, reads=reads, kept=self._kept)

    def _made_below(self, kind: str, name: str = "") -> EvaluationChance:
        backbone, seed, purpose, draw = self._coordinates
        parts, reads = self._parts, self._reads
        if kind == "sample":
            return self._like((backbone, seed, f"{purpose}/{name}", draw), parts, reads=reads, kept=None)
        if kind == "read":
            return self._like(self._coordinates, (*parts, f"read/{reads}"), reads=reads, kept=None)
        return self._like(self._coordinates, (*parts, f"part/{name}"), reads=reads, kept=self._kept)

    def _like(
        self,
        coordinates: tuple[str, int, str, int],
        parts: tuple[str, ...],
        *,
        reads: int,
        kept: dict[tuple[object, ...], Tensor] | None,
    ) -> EvaluationChance:
        return EvaluationChance(*coordinates, device=self._device, parts=parts, reads=reads, kept=kept)

    def _numbers(
        self, kind: Literal["normal", "uniform"], parameter: str, shape: tuple[int, ...], field: str
    ) -> Tensor:
        asked = (*self._parts, kind, parameter, shape, field)
        if self._kept is not None and asked in self._kept:
            return self._kept[asked].clone()
        key = derive("evaluation", *self._coordinates, *self._parts, kind, parameter, field)
        philox = np.random.Generator(np.random.Philox(key=key))
        size = prod(shape)
        flat = philox.standard_normal(size, np.float32) if kind == "normal" else philox.random(size, np.float32)
        numbers = torch.from_numpy(flat).view(shape).to(self._device)
        if self._kept is None:
            return numbers
        self._kept[asked] = numbers
        return numbers.clone()

    def _generator(self, parameter: str, field: str) -> torch.Generator:
        return generator("evaluation", *self._coordinates, *self._parts, parameter, field, device=self._device)


@dataclass(frozen=True, slots=True)
class Chips:
    """The simulated chips of one backbone and training seed: the same for every suite, data set, method and strength."""

    backbone: str
    """The backbone's fingerprint."""
    seed: int
    device: torch.device

    def chip(self, purpose: str, draw: int) -> EvaluationChance:
        """Return the chip of a draw 0, 1, …, which keeps its numbers for as long as it lives."""
        return EvaluationChance.chip(self.backbone, self.seed, purpose, draw, device=self.device)


class TrainingChance(Chance):
    """The chance of one training step, seeded afresh at every step, so that there is no generator state to save.

    All parameters of a field are drawn at once, in the order of the layout, and each takes its part: its numbers depend
    neither on what else is asked for nor in which order, so a layer that is left digital moves no other layer's noise.
    The draw is flat and viewed with each weight's own strides: `randn_like` of a channels_last weight takes a path eight
    times slower (2.36 M values: 63.6 against 8.0 ms). Anything of another name or shape has a generator of its own.
    """

    def __init__(
        self,
        seed: int,
        step: int,
        layout: Layout,
        *,
        device: torch.device | str,
        index: int = 0,
        parts: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self._seed, self._step, self._index, self._parts = seed, step, index, parts
        self._layout = layout
        self._device = torch.device(device)
        self._fields: dict[tuple[str, str], dict[str, Tensor]] = {}

    def _made_below(self, kind: str, name: str = "") -> TrainingChance:
        if kind == "sample":
            return self._like(int(name), self._parts)
        part = "read/0" if kind == "read" else f"part/{name}"  # every step is a read
        return self._like(self._index, (*self._parts, part))

    def _like(self, index: int, parts: tuple[str, ...]) -> TrainingChance:
        return TrainingChance(self._seed, self._step, self._layout, device=self._device, index=index, parts=parts)

    def _seeded(self, *names: str) -> torch.Generator:
        return generator("training", self._seed, self._step, self._index, *self._parts, *names, device=self._device)

    def _numbers(
        self, kind: Literal["normal", "uniform"], parameter: str, shape: tuple[int, ...], field: str
    ) -> Tensor:
        draw = torch.randn if kind == "normal" else torch.rand
        if self._layout.get(parameter, (None, ()))[0] != shape:
            own = self._seeded(kind, parameter, field)
            return draw(prod(shape), generator=own, device=self._device).view(shape)
        if (kind, field) not in self._fields:
            sizes = [prod(known) for known, _ in self._layout.values()]
            flat = draw(sum(sizes), generator=self._seeded(kind, field), device=self._device)
            self._fields[kind, field] = dict(zip(self._layout, torch.split(flat, sizes), strict=True))
        part = self._fields[kind, field].pop(parameter)  # nothing is drawn twice, so its memory may go
        return part.as_strided(shape, self._layout[parameter][1], part.storage_offset())

    def _generator(self, parameter: str, field: str) -> torch.Generator:
        return self._seeded(parameter, field)
