"""No noise."""

from typing import Literal

from nrbench import NONE, Chance, NoiseModel, Weights


class NoNoise(NoiseModel):
    """The weights as they are: the clean column."""

    name: Literal["none"] = "none"

    @property
    def random(self) -> bool:
        return False

    @property
    def clean(self) -> bool:
        return True

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        return NONE
