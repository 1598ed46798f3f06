"""The networks of torchvision."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn

from nrbench import Backbone, Finding, did_you_mean
from nrbench_backbones.stem import Arguments, Pretrained, check_buildable, fitted, started_from


class Torchvision(Backbone):
    """Any classifier of torchvision by its name there, with new weights."""

    name: Literal["torchvision"] = "torchvision"
    version: ClassVar[int] = (
        2  # tokens, positions and scales are digital; a stem for other colours is like the one it replaces
    )

    model: str
    """The name in torchvision, such as resnet18."""
    cifar_stem: bool = False
    """A 3×3 stem of stride 1 without max-pool, for small images, in the place of the 7×7 one."""

    arguments: Arguments = Field(default={})
    """What else torchvision's constructor is given, such as dropout. The size of images is theirs by default, and there are
    no auxiliary heads."""

    pretrained: Pretrained = None
    """Weights that training starts from, a file in the safetensors format; a head of another number of classes stays new."""

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
        check_buildable(self, self._options(), self.arguments)
        return self

    def _options(self) -> Mapping[str, Any]:
        """What the constructor of the network knows by name."""
        from torchvision import models

        network = inspect.signature(models.get_model_builder(self.model), eval_str=True).return_annotation
        return inspect.signature(network.__init__).parameters

    @classmethod
    def check(cls) -> Iterator[Finding]:
        import torchvision

        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
        torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)  # fails when torch and torchvision are no pair
        yield Finding("torchvision", True, str(torchvision.__version__))

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        from torchvision import models

        _, height, width = input_shape
        known = self._options()
        fitting = {"aux_logits": False, "image_size": height, "input_size": (height, width)}
        options = {name: value for name, value in fitting.items() if name in known} | dict(self.arguments)
        if "init_weights" in known and known["init_weights"].default is None:
            options.setdefault("init_weights", True)  # what it does unless told, with a warning
        network = models.get_model(self.model, weights=None, num_classes=num_classes, **options)
        channels = input_shape[0]
        if self.cifar_stem or channels != 3:
            network = fitted(network, channels=channels, cifar_stem=self.cifar_stem)
        return started_from(network, self.pretrained, num_classes=num_classes)
