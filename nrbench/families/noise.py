"""Noise models: errors of stored weights."""

from __future__ import annotations

from typing import ClassVar

from nrbench.families.displacement import Perturbation


class NoiseModel(Perturbation, family="noise", singular="noise model"):
    """Family: an error of stored weights. It depends on the weights and on chance alone, so it can judge any model."""

    random: ClassVar[bool] = True
    """Whether two draws can differ; a model that is not random is evaluated once."""
    clean: ClassVar[bool] = False
    """Whether it is the column without noise."""
