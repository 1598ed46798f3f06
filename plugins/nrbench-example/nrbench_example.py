"""A plugin for nrbench: log-normal noise, anti-correlated perturbation and a convolutional network without skips."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from nrbench import Backbone, Chance, Method, NoiseModel, Scale, Step, Weights, hookimpl


class LogNormal(NoiseModel):
    """w · exp(sigma · z - sigma²/2): every stored weight keeps its sign and its mean, as resistive cells do."""

    name: Literal["log_normal"] = "log_normal"
    sigma: float = Field(default=0.1, ge=0)

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        stored = {name: weights[name] for name in Scale().units(weights)}
        draws = {name: self.sigma * chance.normal(name, w.shape).to(w.dtype) for name, w in stored.items()}
        return {name: w * (draws[name] - self.sigma**2 / 2).expm1() for name, w in stored.items()}


class Antithetic(Method):
    """The mean of the gradients at w + δ and at w - δ, so that the odd part of the noise cancels; two passes."""

    name: Literal["antithetic"] = "antithetic"
    noise: NoiseModel = LogNormal()

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        delta = self.noise.displacement(step.weights(), chance=step.chance)
        opposite = {name: -tensor for name, tensor in delta.items()}
        return (step.backward(delta, share=0.5) + step.backward(opposite, share=0.5)) / 2


class PlainNet(Backbone):
    """3×3 convolutions with BatchNorm and ReLU, each but the first halving the image."""

    name: Literal["plain_net"] = "plain_net"
    channels: tuple[int, ...] = (8, 16, 32)

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        sizes = zip((input_shape[0], *self.channels), self.channels, strict=False)
        layers = [
            nn.Sequential(nn.Conv2d(a, b, 3, 1 + (i > 0), 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for i, (a, b) in enumerate(sizes)
        ]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(self.channels[-1], num_classes))


@hookimpl
def nrbench_components() -> list[type[LogNormal] | type[Antithetic] | type[PlainNet]]:
    """What this plugin offers."""
    return [LogNormal, Antithetic, PlainNet]
