"""The networks of torchvision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

import torch
from pydantic import field_validator, model_validator
from torch import nn

from nrbench import Backbone, Finding, did_you_mean
from nrbench_backbones.stem import check_buildable, fitted


class Torchvision(Backbone):
    """Any classifier of torchvision by its name there, with new weights."""

    name: Literal["torchvision"] = "torchvision"

    model: str
    """The name in torchvision, such as resnet18."""
    cifar_stem: bool = False
    """A 3×3 stem of stride 1 without max-pool, for small images, in the place of the 7×7 one."""

    @field_validator("model")
    @classmethod
    def _is_there(cls, model: str) -> str:
        from torchvision import models

        names = models.list_models(module=models)
        if model not in names:
            raise ValueError(f"torchvision has no classifier {model!r}; {did_you_mean(model, names)}")
        return model

    @model_validator(mode="after")
    def _can_be_fitted(self) -> Self:
        check_buildable(self)
        return self

    @classmethod
    def check(cls) -> Iterator[Finding]:
        import torchvision

        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
        torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)  # fails when torch and torchvision are no pair
        yield Finding("torchvision", True, str(torchvision.__version__))

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        from torchvision import models

        network = models.get_model(self.model, weights=None, num_classes=num_classes)
        return fitted(network, channels=input_shape[0], cifar_stem=self.cifar_stem)
