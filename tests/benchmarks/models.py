"""The network that most figures are of, and a training step on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrbench import Dataset, Images, Method, Splits, State
from nrbench.base.chance import Chips, TrainingChance
from nrbench.families.network import Network
from nrbench.families.step import Step
from nrbench.jobs.batches import Normalisation
from nrbench.jobs.data import Data
from nrbench.jobs.device import autocast
from nrbench.jobs.job import evaluation_network
from nrbench.jobs.train import initial_model
from nrbench.suite.cell import Training
from nrbench.suite.recipe import Recipe
from nrbench_backbones import ResNet
from nrbench_datasets import Synthetic
from nrbench_methods import SGD

CPU = torch.device("cpu")
BATCH = 128
RECIPE = Recipe(precision="auto", batch_size=BATCH).for_device(CPU)
DATASET: Dataset = Synthetic(classes=100, channels=3, size=32)
TRAINING = Training(DATASET, ResNet(depth=18), SGD(), RECIPE, 0)


QUICK = Training(DATASET, ResNet(depth=8, stem_stride=2), SGD(), RECIPE, 0)
"""A training of the quickstart's ResNet-8."""
CHIPS = Chips(TRAINING.backbone.fingerprint, 0, CPU)


def images(count: int, *, channels: int = 3, size: int = 32, classes: int = 100) -> Images:
    """Random images."""
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=chance)
    return Images(pixels, torch.arange(count) % classes).to(CPU)


def small_images(count: int) -> Images:
    """Random images of the size of Fashion-MNIST's."""
    return images(count, channels=1, size=28, classes=10)


def data(of: Images, classes: int = 100) -> Data:
    """What a training on such images works on."""
    channels = of.images.shape[1]
    splits = Splits(of, of, classes, (0.5,) * channels, (0.25,) * channels)
    return Data(of, {"train": of, "validation": of, "test": of}, Normalisation.of(splits, RECIPE, CPU), classes, CPU)


def resnet18() -> nn.Module:
    """A ResNet-18 for 32×32 images and 100 classes, as nrbench makes it."""
    return initial_model(TRAINING, data(images(2)))


def network() -> Network:
    """A ResNet-18, to be judged."""
    return evaluation_network(TRAINING, data(images(2)))


def small_network() -> Network:
    """The quickstart's ResNet-8, to be judged."""
    return evaluation_network(QUICK, data(small_images(2), 10))


@dataclass
class Stepper:
    """A network being trained as nrbench trains it: call it with a method for one step."""

    model: nn.Module = field(default_factory=lambda: resnet18().train())
    number: int = 0

    def __post_init__(self) -> None:
        self.optimizer = RECIPE.optimizer.build(self.model.parameters())
        self.layout = {name: (p.shape, p.stride()) for name, p in self.model.named_parameters()}
        batch = images(BATCH)
        self.batch: Tensor = data(batch).normalise(batch.images)
        self.labels = batch.labels

    def __call__(self, method: Method) -> None:
        self.number += 1
        step = Step(
            model=self.model,
            images=self.batch,
            labels=self.labels,
            criterion=cross_entropy,
            chance=TrainingChance(0, self.number, self.layout, device=CPU),
            state=State(),
            optimizer=self.optimizer,
            autocast=autocast(RECIPE, CPU),
        )
        method.backward(step)
        step.finish()
        method.update(step)
        self.optimizer.zero_grad(set_to_none=True)

    def with_method(self, method: Method) -> Callable[[], None]:
        """Return a step with a method."""
        return partial(self, method)
