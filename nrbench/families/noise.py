"""Noise models: errors of stored weights."""

from __future__ import annotations

from abc import abstractmethod

from nrbench.base.chance import Chance
from nrbench.base.component import Component
from nrbench.families.displacement import Weights


class NoiseModel(Component, family="noise", singular="noise model"):
    """Family: an error of stored weights. It depends on the weights and on chance alone, so it can judge any network."""

    @property
    def random(self) -> bool:
        """Whether two draws can differ; a model that is not random, one of strength 0 for instance, is judged once."""
        return True

    @property
    def clean(self) -> bool:
        """Whether it is the column without noise."""
        return False

    @property
    def rereads(self) -> bool:
        """Whether something is drawn anew at every read of a chip, each batch of a pass, from `chance.read`."""
        return False

    @abstractmethod
    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        """Return δ for these weights, without writing to them.

        Each tensor has the shape, data type and device of its weight; a weight that is not named is stored without error.
        """
