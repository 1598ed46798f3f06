"""Gaussian noise."""

from typing import ClassVar, Literal

from pydantic import Field

from nrbench import Chance, NoiseModel, Scale, Weights


class Gaussian(NoiseModel):
    """δ = sigma · m · z with z standard normal and m the unit of the weight's filter."""

    name: Literal["gaussian"] = "gaussian"
    paper: ClassVar[str] = (
        "Incorruptible Neural Networks (ICLR 2026 submission), section 3: weight perturbation distribution"
    )

    sigma: float = Field(default=0.05, ge=0)
    """The standard deviation, in units of the scale."""
    scale: Scale = Scale()
    """The unit of the noise and the tensors it concerns."""

    @property
    def random(self) -> bool:
        return self.sigma > 0

    @property
    def clean(self) -> bool:
        return self.sigma == 0

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        return {
            name: chance.normal(name, weights[name].shape).to(weights[name].dtype).mul_(self.sigma * unit)
            for name, unit in self.scale.units(weights).items()
        }
