"""Laplace noise."""

from typing import ClassVar, Literal

from pydantic import Field

from nrbench import Chance, NoiseModel, Scale, Weights


class Laplace(NoiseModel):
    """δ = b · m · x with x standard Laplace, of standard deviation √2, and m the unit of the weight's filter."""

    name: Literal["laplace"] = "laplace"
    paper: ClassVar[str] = "Incorruptible Neural Networks (ICLR 2026 submission), appendix C: Laplace noise"

    b: float = Field(default=0.03, ge=0)
    """The diversity, in units of the scale; the standard deviation is √2 · b."""
    scale: Scale = Scale()
    """The unit of the noise and the tensors it concerns."""

    @property
    def random(self) -> bool:
        return self.b > 0

    @property
    def clean(self) -> bool:
        return self.b == 0

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        delta = {}
        for name, unit in self.scale.units(weights).items():
            centred = chance.uniform(name, weights[name].shape).to(weights[name].dtype) - 0.5
            tail = (1 - 2 * centred.abs()).clamp_min(2.0**-25)  # a uniform of exactly 0 would be infinitely far out
            delta[name] = centred.sign() * tail.log() * (-self.b * unit)
        return delta
