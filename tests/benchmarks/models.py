"""The network that most figures are of, and a training step on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrbench import Dataset, Images, Method, Splits, State
from nrbench.base.chance import TrainingChance
from nrbench.families.step import Step
from nrbench.jobs.batches import Normalisation
from nrbench.jobs.device import autocast
from nrbench.jobs.network import Judge
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


def resnet18() -> nn.Module:
    """A ResNet-18 for 32×32 images and 100 classes, as nrbench makes it."""
    return initial_model(TRAINING, 100, torch.Size((1, 3, 32, 32)), CPU)


def images(count: int) -> Images:
    """Random images."""
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=chance)
    return Images(pixels, torch.arange(count) % 100).to(CPU)


def normalisation(data: Images) -> Normalisation:
    """The normalisation of such images."""
    return Normalisation.of(Splits(data, data, 100, (0.5,) * 3, (0.25,) * 3), RECIPE, CPU)


def judge() -> Judge:
    """A judge of a ResNet-18."""
    return Judge(resnet18(), TRAINING, normalisation(images(2)), CPU)


def small_images(count: int) -> Images:
    """Random images of the size of Fashion-MNIST's."""
    chance = torch.Generator().manual_seed(0)
    return Images(
        torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8, generator=chance), torch.arange(count) % 10
    )


def small_judge() -> Judge:
    """A judge of the quickstart's ResNet-8."""
    training = Training(DATASET, ResNet(depth=8, stem_stride=2), SGD(), RECIPE, 0)
    data = small_images(2)
    model = initial_model(training, 10, data.images.shape, CPU)
    return Judge(model, training, Normalisation.of(Splits(data, data, 10, (0.5,), (0.25,)), RECIPE, CPU), CPU)


@dataclass
class Stepper:
    """A network being trained as nrbench trains it: call it with a method for one step."""

    model: nn.Module = field(default_factory=lambda: resnet18().train())
    number: int = 0

    def __post_init__(self) -> None:
        self.optimizer = RECIPE.optimizer.build(self.model.parameters())
        self.layout = {name: (p.shape, p.stride()) for name, p in self.model.named_parameters()}
        data = images(BATCH)
        self.batch: Tensor = normalisation(data)(data.images)
        self.labels = data.labels

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
