"""The recipe of a training: everything but the data, the backbone, the method and the seed."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator

from nrbench.base.component import ADDED_LATER, NOT_IN_KEY, Frozen
from nrbench.families.method import Method
from nrbench.families.optimizer import Optimizer, Sgd
from nrbench.families.schedule import PLACES, Cosine, Schedule
from nrbench.families.step import BatchNormStatistics, Clock

MOST_EPOCHS = 1000
"""By how much a budget of passes may multiply the epochs: a step that costs less than this plans costs nothing."""


class Recipe(Frozen):
    """How every method of a suite is trained."""

    epochs: int = Field(default=200, ge=0)
    """Passes over the training images."""
    budget: Annotated[Literal["epochs", "passes"], ADDED_LATER] = "epochs"
    """What is equal for all methods: the epochs, or the forward-backward passes of so many epochs of SGD, so that SAM trains
    for half as many."""
    batch_size: int = Field(default=128, ge=2)
    """Images in a step; the last batch of an epoch may have fewer, or one more: a last image alone joins the one before."""
    evaluation_batch: int = Field(default=500, ge=1)
    """Images in a forward pass of an evaluation."""
    optimizer: Optimizer = Sgd()
    """What moves the weights along the gradient that the method found."""
    lr_schedule: Schedule = Cosine()
    """The learning rate of each step, as a factor of the optimizer's `lr`."""
    clip_norm: Annotated[float | None, Field(gt=0), ADDED_LATER] = None
    """The largest Euclidean norm of a step's gradient over all parameters; a longer one is shortened to it, after the
    method's last pass."""
    micro_batch: Annotated[int | None, Field(ge=1), ADDED_LATER] = None
    """Images in memory at once: each pass takes the batch in parts of so many and adds their gradients up. That is the same
    gradient unless the network looks at the batch, as BatchNorm does; an image keeps its dropout masks."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread evenly over all classes, as torch does."""
    augment: tuple[Literal["crop", "flip"], ...] = ("crop", "flip")
    """Random crop after padding with 4 zeros, random horizontal flip."""
    held_out: float = Field(default=0.1, ge=0, lt=1)
    """The share of the training images kept apart to choose epochs on; the same for every method and seed."""
    bn_statistics: BatchNormStatistics = "first"
    """Which passes of a step update BatchNorm's running statistics: SAM's first pass is clean, RWP's only one perturbed."""
    precision: Literal["float32", "tf32", "bfloat16", "auto"] = "float32"
    """`bfloat16` is autocast with float32 weights; `auto` takes it where the device computes in it. `tf32` lets an NVIDIA
    GPU round the factors of products to 10 bits; elsewhere it is float32."""
    channels_last: bool = True
    """The memory format of images and convolutions; contiguous where a network has layers that it is computed wrongly for."""
    compile: bool = False
    """Whether torch compiles the network; meant for a GPU, where it was not measured. On a CPU compiling costs more time
    than it saves on a network that is trained for minutes. It needs a C++ compiler, rounds differently, and draws
    other dropout masks."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Threads per job, part of the recipe because one and two threads round differently."""
    keep_epochs: Annotated[int, NOT_IN_KEY] = Field(default=2**30, ge=0)
    """All epochs of a training stay stored while they take fewer bytes than this, so that a cell asked for later can be
    judged without training again. It changes no result and is in no key."""

    checkpoint_every: Annotated[int, NOT_IN_KEY] = Field(default=1, ge=1)
    """Epochs between checkpoints, where an interrupted training goes on. It changes no result and is in no key."""

    @field_validator("lr_schedule")
    @classmethod
    def _stands_by_itself(cls, schedule: Schedule) -> Schedule:
        schedule(0.0)
        return schedule

    def for_method(self, method: Method) -> Recipe:
        """Return the recipe with as many epochs as its budget allows a method, by the passes that it plans.

        Raise `ValueError` where that is none, or nobody can say. A method that does not train has no epochs anyway.
        """
        if method.trains and not 0 <= method.planned_passes() < inf:
            raise ValueError(f"it plans {method.planned_passes():g} passes a step")
        if self.budget == "epochs" or not method.trains:
            return self.replace(budget="epochs")
        if self.bn_statistics != "first":
            raise ValueError(
                f"a budget of passes counts with bn_statistics: first; {self.bn_statistics} adds a pass to some methods"
            )
        passes = self.passes_of(method)
        if not 0 < passes < inf:
            raise ValueError(f"a budget of passes needs to know what a step costs, and it plans {passes:g} passes")
        epochs = int(self.epochs / passes + 1e-9)
        if self.epochs and not epochs:
            raise ValueError(
                f"a budget of {self.epochs} epochs' passes is less than one epoch of {passes:g} passes a step"
            )
        if epochs > MOST_EPOCHS * self.epochs:
            raise ValueError(f"a budget of passes would be {epochs:,} epochs of {passes:g} passes a step")
        return self.replace(budget="epochs", epochs=epochs)

    def passes_of(self, method: Method) -> float:
        """Return the forward-backward passes per step that a plan counts with: the mean over 1,000 places of a training."""
        places = (Clock(n, total=PLACES, lr_factor=self.lr_schedule(n / PLACES)) for n in range(PLACES))
        return sum(map(method.passes_at, places)) / PLACES

    def for_device(self, device: torch.device) -> Recipe:
        """Return the recipe with `precision: auto` made concrete for a device."""
        if self.precision != "auto":
            return self
        return self.replace(precision="bfloat16" if computes_in_bfloat16(device) else "float32")


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 on this device, because the hardware multiplies in it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
