"""What the checks work on: a small network and data set, a training step, and methods around the one that is checked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrbench.base.chance import Chance, EvaluationChance, TrainingChance
from nrbench.families.analog import Layer, Layout, NetworkWeights
from nrbench.families.backbone import Backbone
from nrbench.families.dataset import Dataset, Images, Splits
from nrbench.families.displacement import Weights
from nrbench.families.method import Method
from nrbench.families.optimizer import Sgd
from nrbench.families.state import State
from nrbench.families.step import Batch, Clock, Step
from nrbench.jobs.data import Data
from nrbench.jobs.train import Checkpoint, Trained, train
from nrbench.suite.cell import Training
from nrbench.suite.recipe import Recipe


class SmallNetwork(Backbone):
    """A convolution, BatchNorm and a linear layer with a bias: the smallest network with every kind of parameter."""

    name: Literal["small"] = "small"

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        channels, height, width = input_shape
        return nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * height * width, num_classes),
        )


class SmallDataset(Dataset):
    """64 random images of 6×6 in three classes."""

    name: Literal["small"] = "small"

    def load(self, root: Path) -> Splits:
        chance = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (64, 2, 6, 6), generator=chance, dtype=torch.uint8)
        part = Images(images, torch.arange(64) % 3)
        return Splits(part, part, 3, (0.5, 0.5), (0.25, 0.25))


class Plain(Method):
    """The gradient at the weights themselves."""

    name: Literal["plain"] = "plain"

    def backward(self, step: Step) -> Tensor:
        return step.backward()


class Around(Method):
    """A method inside another that passes everything on."""

    name: Literal["around"] = "around"
    method: Method

    def backward(self, step: Step) -> Tensor:
        return self.method.backward(step.within("method"))

    def update(self, step: Step) -> None:
        self.method.update(step.within("method"))

    def evaluation_weights(self, state: State) -> Weights | None:
        return self.method.evaluation_weights(state.within("method"))


class Halved(Method):
    """A method at half of its strength."""

    name: Literal["halved"] = "halved"
    method: Method

    def backward(self, step: Step) -> Tensor:
        return self.method.backward(step.scaled(0.5))


class Averaged(Method):
    """The running mean of the weights of a method is what is judged; it is taken at every second step."""

    name: Literal["averaged"] = "averaged"
    reestimates: ClassVar[bool] = True
    method: Method

    def backward(self, step: Step) -> Tensor:
        return self.method.backward(step.within("method"))

    def update(self, step: Step) -> None:
        self.method.update(step.within("method"))
        if step.clock.step % 2:
            return
        count = step.state["count"] = step.state.get("count", 0) + 1
        for weight, tensor in step.weights().items():
            mean = step.state.get(weight)
            step.state[weight] = tensor.clone() if mean is None else mean + (tensor - mean) / count

    def evaluation_weights(self, state: State) -> Weights | None:
        return {name: value for name, value in state.items() if isinstance(value, Tensor)} or None


class EveryOther(Method):
    """Two batches for each update: the gradients of a step and of a further batch, and every second update left out."""

    name: Literal["every_other"] = "every_other"
    method: Method

    def backward(self, step: Step) -> Tensor:
        first = self.method.backward(step.within("method"))
        gradient = step.take_gradient()
        second = self.method.backward(step.more().within("further"))
        other = step.take_gradient()
        step.put_gradient({name: (tensor + other[name]) / 2 for name, tensor in gradient.items()})
        return (first + second) / 2

    def update(self, step: Step) -> None:
        if step.clock.step % 2 == 0:
            self.method.update(step.within("method"))

    def evaluation_weights(self, state: State) -> Weights | None:
        return self.method.evaluation_weights(state.within("method"))


def layer_weights(tensors: Weights) -> NetworkWeights:
    """Return tensors as the weights of layers: each of two dimensions and more, with the bias of its name beside it."""
    matrices = [name for name, tensor in tensors.items() if tensor.ndim > 1]
    layers = {name: Layer(name, bias=name.removesuffix("weight") + "bias") for name in matrices}
    return NetworkWeights(tensors, Layout(layers))


def sample_weights() -> NetworkWeights:
    """Return weights of every kind."""
    chance = torch.Generator().manual_seed(0)
    shapes = {"conv.weight": (6, 3, 3, 3), "norm.weight": (6,), "linear.weight": (5, 24), "linear.bias": (5,)}
    return layer_weights({name: torch.randn(shape, generator=chance) for name, shape in shapes.items()})


def simulated_chip(draw: int = 0, *, reads: int = 0) -> Chance:
    """Return the chance of a simulated chip at one of its reads, to draw a noise model's displacement with."""
    return EvaluationChance.chip("backbone", 0, "report", draw).anew(reads=reads)


def training_chance(weights: Weights, *, step: int = 0) -> Chance:
    """Return the chance of a training step for these weights."""
    layout = {name: (weight.shape, weight.stride()) for name, weight in weights.items()}
    return TrainingChance(0, step, layout, device="cpu")


def sample_step(*, model: nn.Module | None = None, **changes: Any) -> Step:
    """Return a step on 16 random images, with further batches, and with other values for some of its fields."""
    torch.manual_seed(0)
    model = model or SmallNetwork().build(num_classes=3, input_shape=(2, 6, 6))
    batches = [Batch(torch.randn(16, 2, 6, 6), torch.arange(16) % 3) for _ in range(8)]
    given: dict[str, Any] = {
        "model": model,
        "images": batches[0].images,
        "labels": batches[0].labels,
        "criterion": partial(cross_entropy, label_smoothing=0.1),
        "chance": training_chance(dict(model.named_parameters()), step=7),
        "state": State(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "clock": Clock(step=7, steps_per_epoch=4, total=14, lr=0.1, images=64),
        "further": lambda index: batches[index],
    }
    return Step(**given | changes)


def gradients(step: Step) -> dict[str, Tensor]:
    """Return the gradient that a step has gathered."""
    return {name: p.grad.clone() for name, p in step.model.named_parameters() if p.grad is not None}


def trained(method: Method, checkpoint: Checkpoint | None = None) -> Iterator[Trained]:
    """Train the small network for three epochs of four steps."""
    recipe = Recipe(epochs=3, batch_size=16, optimizer=Sgd(lr=0.1), precision="float32")
    training = Training(SmallDataset(), SmallNetwork(), method, recipe, seed=0)
    return train(training, Data.of(training, Path(), torch.device("cpu")), checkpoint=checkpoint)


def same(first: Weights, second: Weights) -> bool:
    """Whether two collections of tensors are bit for bit the same."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
