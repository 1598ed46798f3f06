"""Residual networks, for small images by default."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from nrbench import Backbone
from nrbench_backbones.layers import Layers, Norm

BLOCKS: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {8: (1, 1, 1), 10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
)
"""Blocks per stage; a basic block has two convolutions and one of depth 50 three, and stem and classifier count too."""


class ResNet(Backbone):
    """Residual networks: depth 8 has three stages, 10 to 50 have four, and 9 is the DAWNBench network."""

    name: Literal["resnet"] = "resnet"
    paper: ClassVar[str] = "He et al. 2016, Deep Residual Learning for Image Recognition; depth 9: Page 2018, DAWNBench"

    depth: Literal[8, 9, 10, 18, 34, 50] = 18
    """Layers with weights, projections aside."""
    width: int | None = Field(default=None, ge=1)
    """Channels of the first stage, doubled at every further one: by default 16 for depth 8 and 64 for the others."""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """A 3×3 convolution, or a 7×7 one followed by a max-pool."""
    stem_stride: int = Field(default=1, ge=1, le=4)
    """Stride of the stem's convolution, which is 2 in the ImageNet networks; 2 makes small images four times cheaper."""
    norm: Norm = "batch"
    """Batch normalisation, group normalisation, which has no running statistics, or none."""

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        width = self.width or (16 if self.depth == 8 else 64)
        channels, layers = input_shape[0], Layers(self.norm)
        if self.depth == 9:
            model: nn.Module = _resnet9(layers, channels, width, num_classes, self.stem_stride)
        else:
            block = Bottleneck if self.depth == 50 else BasicBlock
            stem = _stem(layers, self.stem, channels, width, self.stem_stride)
            model = _staged(layers, stem, block, BLOCKS[self.depth], width, num_classes)
        blocks = [module for module in model.modules() if isinstance(module, BasicBlock | _Residual)]
        return layers.initialised(model, [_last(block.body) for block in blocks])


def _last(body: nn.Sequential) -> nn.Conv2d:
    return [module for module in body if isinstance(module, nn.Conv2d)][-1]


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around which the input is added, projected where its shape changes."""

    expansion = 1

    def __init__(self, layers: Layers, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.body = nn.Sequential(*self._body(layers, inputs, width, outputs, stride))
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(layers.convolution(inputs, outputs, 1, stride=stride), layers.normalisation(outputs))
        )

    def _body(self, layers: Layers, inputs: int, width: int, outputs: int, stride: int) -> list[nn.Module]:
        return [
            layers.convolution(inputs, width, stride=stride),
            layers.normalisation(width),
            nn.ReLU(),
            layers.convolution(width, outputs),
            layers.normalisation(outputs),
        ]

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.body(x) + self.shortcut(x))


class Bottleneck(BasicBlock):
    """1×1, 3×3 and 1×1 convolutions, the stride in the middle one."""

    expansion = 4

    def _body(self, layers: Layers, inputs: int, width: int, outputs: int, stride: int) -> list[nn.Module]:
        return [
            layers.convolution(inputs, width, 1),
            layers.normalisation(width),
            nn.ReLU(),
            layers.convolution(width, width, stride=stride),
            layers.normalisation(width),
            nn.ReLU(),
            layers.convolution(width, outputs, 1),
            layers.normalisation(outputs),
        ]


def _stem(layers: Layers, kind: str, channels: int, width: int, stride: int) -> nn.Sequential:
    size = 3 if kind == "cifar" else 7
    first = layers.convolution(channels, width, size, stride=stride)
    pool = [nn.MaxPool2d(3, stride=2, padding=1)] if kind == "imagenet" else []
    return nn.Sequential(first, layers.normalisation(width), nn.ReLU(), *pool)


def _staged(
    layers: Layers, stem: nn.Module, block: type[BasicBlock], blocks: tuple[int, ...], width: int, num_classes: int
) -> nn.Sequential:
    stages: list[nn.Module] = []
    inputs = width
    for stage, count in enumerate(blocks):
        own = []
        for index in range(count):
            own.append(block(layers, inputs, width * 2**stage, 2 if stage and index == 0 else 1))
            inputs = width * 2**stage * block.expansion
        stages.append(nn.Sequential(*own))
    return nn.Sequential(stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes))


class _Residual(nn.Module):
    """x + body(x), without a ReLU behind the sum: the block of the DAWNBench network."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)  # type: ignore[no-any-return]


class _GlobalMaxPool(nn.Module):
    """The largest value of each channel; 4×4 for images of 32×32."""

    def forward(self, x: Tensor) -> Tensor:
        return max_pool2d(x, x.shape[-2:])


def _resnet9(layers: Layers, channels: int, width: int, num_classes: int, stem_stride: int) -> nn.Sequential:
    def unit(inputs: int, outputs: int, *, stride: int = 1, pool: bool = False) -> list[nn.Module]:
        own = [layers.convolution(inputs, outputs, stride=stride), layers.normalisation(outputs), nn.ReLU()]
        return [*own, nn.MaxPool2d(2)] if pool else own

    def residual(size: int) -> nn.Module:
        return _Residual(nn.Sequential(*unit(size, size), *unit(size, size)))

    return nn.Sequential(
        *unit(channels, width, stride=stem_stride),
        *unit(width, 2 * width, pool=True),
        residual(2 * width),
        *unit(2 * width, 4 * width, pool=True),
        *unit(4 * width, 8 * width, pool=True),
        residual(8 * width),
        _GlobalMaxPool(),
        nn.Flatten(),
        nn.Linear(8 * width, num_classes, bias=False),
    )
