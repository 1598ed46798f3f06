"""Wide residual networks."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import relu

from nrbench import Backbone
from nrbench_backbones.layers import Layers, Norm


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
    norm: Norm = "batch"
    """Batch normalisation, group normalisation, which has no running statistics, or none."""

    @field_validator("depth")
    @classmethod
    def _has_whole_blocks(cls, depth: int) -> int:
        if (depth - 4) % 6:
            raise ValueError(
                f"depth must be 6n + 4, such as {depth - (depth - 4) % 6} or {depth + 6 - (depth - 4) % 6}"
            )
        return depth

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        layers = Layers(self.norm)
        parts: list[nn.Module] = [layers.convolution(input_shape[0], self.base, stride=self.stem_stride)]
        inputs = self.base
        for group in range(3):
            outputs = self.base * self.width * 2**group
            for index in range((self.depth - 4) // 6):
                stride = 2 if group and index == 0 else 1
                parts.append(_Block(layers, inputs, outputs, stride, self.dropout))
                inputs = outputs
        last = [part.second[-1] for part in parts if isinstance(part, _Block)]
        parts += [layers.normalisation(inputs), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        model = nn.Sequential(*parts, nn.Linear(inputs, num_classes))
        return layers.initialised(model, [each for each in last if isinstance(each, nn.Conv2d)])


class _Block(nn.Module):
    """Normalisation, ReLU and a 3×3 convolution, twice; where the shape changes the first activation is shared with the
    projection of the input, which has no normalisation."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm = layers.normalisation(inputs)
        self.first = layers.convolution(inputs, outputs, stride=stride)
        self.second = nn.Sequential(
            layers.normalisation(outputs), nn.ReLU(), nn.Dropout(dropout), layers.convolution(outputs, outputs)
        )
        same = stride == 1 and inputs == outputs
        self.projection = None if same else layers.convolution(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        active = relu(self.norm(x))
        shortcut = x if self.projection is None else self.projection(active)
        return self.second(self.first(active)) + shortcut  # type: ignore[no-any-return]
