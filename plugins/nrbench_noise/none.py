"""No noise."""

from typing import ClassVar, Literal

from nrbench import NONE, Chance, NoiseModel, Weights


class NoNoise(NoiseModel):
    """The weights as they are: the clean column."""

    name: Literal["none"] = "none"
    random: ClassVar[bool] = False
    clean: ClassVar[bool] = True

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        return NONE
