"""All randomness: derived from what it is for, never from when, where or in which order it is drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import sha256
from math import prod

import numpy as np
import torch
from torch import Tensor

from nrbench.base.component import canonical_json

STREAM_VERSION = 1
"""Raise it when any of the streams below changes; every result changes with it."""


def derive(*coordinates: str | int) -> int:
    """Return the 128-bit seed that belongs to a list of logical coordinates, such as ("batches", seed, epoch)."""
    return int.from_bytes(sha256(canonical_json([STREAM_VERSION, *coordinates]).encode()).digest()[:16], "big")


def generator(*coordinates: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator seeded from coordinates; on the CPU torch keeps 32 bits of a seed, so 32 are given."""
    seeded = torch.Generator(device)
    return seeded.manual_seed(derive(*coordinates) & 0xFFFF_FFFF)


class Chance(ABC):
    """What a perturbation may draw from; every draw names the parameter it is for.

    A model that needs several independent numbers for a parameter names a `field` for each, so that adding one never
    shifts the others.
    """

    @abstractmethod
    def normal(self, parameter: str, shape: Sequence[int], *, field: str = "") -> Tensor:
        """Return independent standard normals, float32 of `shape` on the weights' device."""

    @abstractmethod
    def uniform(self, parameter: str, shape: Sequence[int], *, field: str = "") -> Tensor:
        """Return independent numbers uniform in [0, 1), float32 of `shape` on the weights' device."""

    @abstractmethod
    def generator(self, parameter: str, *, field: str = "") -> torch.Generator:
        """Return a generator on the weights' device for any other distribution."""

    @abstractmethod
    def sample(self, index: int) -> Chance:
        """Return an independent chance for the sample `index` of the same step or draw."""


class EvaluationChance(Chance):
    """The chance of one simulated chip: NumPy's Philox under a 128-bit key, drawn contiguous on the CPU.

    The key holds the backbone's fingerprint, the seed index, the purpose and the draw, and neither suite, data set,
    method nor strength: all of them meet the same chips, and chips are independent across training seeds. Numbers are
    kept for as long as this object lives, so that all strengths of a noise model share one draw; copies are handed out.
    """

    def __init__(
        self, backbone: str, seed: int, purpose: str, draw: int, *, device: torch.device | str = "cpu"
    ) -> None:
        self._coordinates = (backbone, seed, purpose, draw)
        self._device = torch.device(device)
        self._kept: dict[tuple[str, str, tuple[int, ...], str], Tensor] = {}

    def _draw(self, kind: str, parameter: str, shape: Sequence[int], field: str) -> Tensor:
        asked = (kind, parameter, tuple(shape), field)
        if asked not in self._kept:
            key = derive("evaluation", *self._coordinates, kind, parameter, field)
            philox = np.random.Generator(np.random.Philox(key=key))
            size = prod(shape)
            flat = philox.standard_normal(size, np.float32) if kind == "normal" else philox.random(size, np.float32)
            self._kept[asked] = torch.from_numpy(flat).view(tuple(shape)).to(self._device)
        return self._kept[asked].clone()

    def normal(self, parameter: str, shape: Sequence[int], *, field: str = "") -> Tensor:
        return self._draw("normal", parameter, shape, field)

    def uniform(self, parameter: str, shape: Sequence[int], *, field: str = "") -> Tensor:
        return self._draw("uniform", parameter, shape, field)

    def generator(self, parameter: str, *, field: str = "") -> torch.Generator:
        return generator("evaluation", *self._coordinates, parameter, field, device=self._device)

    def sample(self, index: int) -> EvaluationChance:
        backbone, seed, purpose, draw = self._coordinates
        return EvaluationChance(backbone, seed, f"{purpose}/{index}", draw, device=self._device)


class TrainingChance(Chance):
    """The chance of one training step: a generator on the weights' device for each field, seeded anew at every step.

    So there is no generator state to save. Numbers are drawn flat and contiguous and then viewed with the weight's own
    strides: `randn_like` of a channels_last weight takes a path eight times slower (2.36 M values: 63.6 against 8.0 ms).
    """

    def __init__(
        self,
        seed: int,
        step: int,
        strides: dict[str, tuple[torch.Size, tuple[int, ...]]],
        *,
        device: torch.device | str,
        index: int = 0,
    ) -> None:
        self._coordinates = ("training", seed, step, index)
        self._strides = strides
        self._device = torch.device(device)
        self._generators: dict[str, torch.Generator] = {}

    def _field(self, field: str) -> torch.Generator:
        if field not in self._generators:
            self._generators[field] = generator(*self._coordinates, field, device=self._device)
        return self._generators[field]

    def _like_the_weight(self, parameter: str, shape: Sequence[int], flat: Tensor) -> Tensor:
        known, stride = self._strides.get(parameter, (None, ()))
        return flat.as_strided(tuple(shape), stride) if known == tuple(shape) else flat.view(tuple(shape))

    def normal(self, parameter: str, shape: Sequence[int], *, field: str = "") -> Tensor:
        flat = torch.randn(prod(shape), generator=self._field(field), device=self._device)
        return self._like_the_weight(parameter, shape, flat)

    def uniform(self, parameter: str, shape: Sequence[int], *, field: str = "") -> Tensor:
        flat = torch.rand(prod(shape), generator=self._field(field), device=self._device)
        return self._like_the_weight(parameter, shape, flat)

    def generator(self, parameter: str, *, field: str = "") -> torch.Generator:
        return generator(*self._coordinates, parameter, field, device=self._device)

    def sample(self, index: int) -> TrainingChance:
        _, seed, step, _ = self._coordinates
        return TrainingChance(seed, step, self._strides, device=self._device, index=index)
