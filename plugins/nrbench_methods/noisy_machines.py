"""Noisy Machines: noise injection with a teacher."""

from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from safetensors.torch import load
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, softmax

from nrbench import Chance, Criterion, DataFile, Method, Perturbation, Step, Weights, displaced_backward, laid_out
from nrbench_methods.trained import check_weights

_TEACHER, _BEGUN = "teacher's ", "begun"


class RangeNoise(Perturbation):
    """Normal noise of standard deviation η · (max W - min W) in each layer that is stored."""

    name: Literal["range_noise"] = "range_noise"

    eta: float = Field(ge=0)

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        layers = laid_out(weights).layout.layers
        if not layers:
            raise ValueError("nothing of this network lies on the device, so that no noise can move it")
        sizes = {name: weights[name].amax() - weights[name].amin() for name in layers}
        return {n: self.eta * size * chance.normal(n, weights[n].shape).to(size.dtype) for n, size in sizes.items()}


class NoisyMachines(Method):
    """Noise in each training pass, and a teacher without: a · L + (1 - a) · T² · KL(teacher ‖ student) at w + ε.

    The teacher is a file of weights of the same network, which the student starts from, or the network itself as it is at
    `switch`; until then it is trained plainly. The teacher's forward pass is in evaluation mode. Weights held to a range
    are `clipped` around it. Law and loss are those of the abstract and from memory of the paper, T and a are ours.
    """

    name: Literal["noisy_machines"] = "noisy_machines"
    rampable: ClassVar[bool] = False
    paper: ClassVar[str] = "Zhou et al. 2020, Noisy Machines: Understanding Noisy Neural Networks"

    eta: float = Field(default=0.05, ge=0)
    """The standard deviation of the noise, in ranges of a layer."""
    teacher: DataFile | None = None
    """Its parameters and buffers in the safetensors format, as `nrbench export` writes them."""
    switch: float = Field(default=0.5, ge=0, lt=1)
    """Without a file, the part of the training after which the network is its own teacher."""
    labels: float = Field(default=0.5, ge=0, le=1)
    """a: the share of the loss that the labels have."""
    temperature: float = Field(default=4.0, gt=0)
    """T, which both outputs are divided by."""

    @field_validator("teacher")
    @classmethod
    def _is_a_file_of_weights(cls, file: DataFile | None) -> DataFile | None:
        if file is not None:
            file.check_content(partial(check_weights, path=file.path))
        return file

    def teacher_weights(self) -> Weights | None:
        return None if self.teacher is None else load(self.teacher.read())

    def planned_passes(self) -> float:
        return 1 + 1 / 3 * (1 - self.switch if self.teacher is None else 1)

    def backward(self, step: Step) -> Tensor:
        if self.teacher is None and not len(step.state):
            return step.backward()
        told = softmax(step.output(self._teacher(step)) / self.temperature, 1)
        lessons = torch.cat([step.labels[:, None].to(told), told], 1)
        criterion = partial(_distilled, criterion=step.criterion, share=self.labels, temperature=self.temperature)
        return displaced_backward(replace(step, labels=lessons, criterion=criterion), RangeNoise(eta=self.eta))

    def update(self, step: Step) -> None:
        if self.teacher is None or _BEGUN in step.state:
            super().update(step)
            if self.teacher is None and (step.clock.step + 1) / step.clock.total >= self.switch:
                self._teacher(step)
            return
        own = step.model.state_dict(keep_vars=True)
        with torch.no_grad():  # the first step is spent on becoming the teacher
            for name, tensor in self._teacher(step).items():
                own[name].copy_(tensor)
        step.state[_BEGUN] = 1

    def _teacher(self, step: Step) -> Weights:
        """Return the teacher's parameters and buffers, which the first call remembers."""
        if not len(step.state):
            own = step.model.state_dict()
            given = self.teacher_weights() or own
            step.state.update({_TEACHER + n: t.detach().to(own[n], copy=True) for n, t in given.items()})
        return {n.removeprefix(_TEACHER): t for n, t in step.state.items() if n.startswith(_TEACHER)}


def _distilled(
    logits: Tensor, lessons: Tensor, *, criterion: Criterion, share: float, temperature: float, reduction: str = "mean"
) -> Tensor:
    """Return the loss of lessons: the label of each image, and beside it what the teacher says of every class."""
    labels, told = lessons[:, 0].long(), lessons[:, 1:]
    apart = kl_div(log_softmax(logits / temperature, 1), told, reduction="none").sum(1)
    losses = share * criterion(logits, labels, reduction="none") + (1 - share) * temperature**2 * apart
    return losses.mean() if reduction == "mean" else losses
