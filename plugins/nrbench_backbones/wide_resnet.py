"""Wide residual networks."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import relu

from nrbench import Backbone
from nrbench_backbones.resnet import convolution, initialised


class WideResNet(Backbone):
    """WRN-depth-width: three groups of pre-activation blocks with 16, 32 and 64 times `width` channels."""

    name: Literal["wide_resnet"] = "wide_resnet"
    paper: ClassVar[str] = "Zagoruyko & Komodakis 2016, Wide Residual Networks"

    depth: int = Field(default=16, ge=10, le=1000)
    """6n + 4 layers, n blocks in a group."""
    width: int = Field(default=10, ge=1, le=100)
    """The widening factor k."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout between the convolutions of a block."""
    base: int = Field(default=16, ge=1)
    """Channels of the stem and, times k, of the first group."""
    stem_stride: int = Field(default=1, ge=1, le=4)
    """Stride of the first convolution; 2 makes small images four times cheaper."""

    @field_validator("depth")
    @classmethod
    def _has_whole_blocks(cls, depth: int) -> int:
        if (depth - 4) % 6:
            raise ValueError(
                f"depth must be 6n + 4, such as {depth - (depth - 4) % 6} or {depth + 6 - (depth - 4) % 6}"
            )
        return depth

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        layers: list[nn.Module] = [convolution(input_shape[0], self.base, stride=self.stem_stride)]
        inputs = self.base
        for group in range(3):
            outputs = self.base * self.width * 2**group
            for index in range((self.depth - 4) // 6):
                stride = 2 if group and index == 0 else 1
                layers.append(_Block(inputs, outputs, stride, self.dropout))
                inputs = outputs
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return initialised(nn.Sequential(*layers, nn.Linear(inputs, num_classes)))


class _Block(nn.Module):
    """BatchNorm, ReLU and a 3×3 convolution, twice; where the shape changes the first activation is shared with the
    projection of the input, which has no BatchNorm."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.first = convolution(inputs, outputs, stride=stride)
        self.second = nn.Sequential(
            nn.BatchNorm2d(outputs), nn.ReLU(), nn.Dropout(dropout), convolution(outputs, outputs)
        )
        same = stride == 1 and inputs == outputs
        self.projection = None if same else convolution(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        active = relu(self.norm(x))
        shortcut = x if self.projection is None else self.projection(active)
        return self.second(self.first(active)) + shortcut  # type: ignore[no-any-return]
