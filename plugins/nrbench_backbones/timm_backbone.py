"""The networks of timm."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn

from nrbench import Backbone, Finding, did_you_mean
from nrbench_backbones.stem import Arguments, Pretrained, check_buildable, fitted, started_from


class Timm(Backbone):
    """Any classifier of timm by its name there, with new weights."""

    name: Literal["timm"] = "timm"
    version: ClassVar[int] = (
        2  # tokens, positions and scales are digital; a stem for other colours is like the one it replaces
    )

    model: str
    """The name in timm, such as resnet18."""
    cifar_stem: bool = False
    """A 3×3 stem of stride 1 without max-pool, for small images, in the place of the 7×7 one."""
    zero_init_last: bool | None = None
    """timm starts the last BatchNorm of each residual block at 0; `false` starts it at 1, as torchvision and `resnet` do,
    and is an error for a network without that option. Not said, the network's own default stands."""

    arguments: Arguments = Field(default={})
    """What else timm's constructor is given, such as drop_rate or img_size; img_size is the images' own by default."""

    pretrained: Pretrained = None
    """Weights that training starts from, a file in the safetensors format; a head of another number of classes stays new."""

    @field_validator("model")
    @classmethod
    def _is_there(cls, model: str) -> str:
        import timm

        if not timm.is_model(model):
            raise ValueError(f"timm has no network {model!r}; {did_you_mean(model, timm.list_models())}")
        return model

    @model_validator(mode="after")
    def _can_be_fitted(self) -> Self:
        check_buildable(self, self._options(), self.arguments)
        return self

    def _options(self) -> Mapping[str, Any]:
        """What the constructor of the network knows by name."""
        import timm

        with torch.device("meta"):
            network = timm.create_model(self.model, pretrained=False)
        return inspect.signature(type(network).__init__).parameters

    @classmethod
    def check(cls) -> Iterator[Finding]:
        import timm

        yield Finding("timm", True, str(timm.__version__))

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        import timm

        options: dict[str, Any] = {"img_size": input_shape[1:]} if "img_size" in self._options() else {}
        if self.zero_init_last is not None:
            options["zero_init_last"] = self.zero_init_last
        options |= self.arguments
        network = timm.create_model(
            self.model, pretrained=False, num_classes=num_classes, in_chans=input_shape[0], **options
        )
        # timm has made it for these colours; its first convolution may see another number, of pixels beside each other
        network = fitted(network, channels=input_shape[0], cifar_stem=True) if self.cifar_stem else network
        return started_from(network, self.pretrained, num_classes=num_classes)
