"""Probes: accuracy and loss, sharpness, gradients, the size of weights and of noise, and what BatchNorm has to do with it."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_probes.batch_norm import BatchNormShift
from nrbench_probes.distance import Distance
from nrbench_probes.gradient import GradientNorm
from nrbench_probes.performance import Performance
from nrbench_probes.sharpness import AscentSharpness, AverageSharpness
from nrbench_probes.size import WeightSize
from nrbench_probes.trajectory import GradientCosine, UpdateGradient

__all__ = [
    "AscentSharpness",
    "AverageSharpness",
    "BatchNormShift",
    "Distance",
    "GradientCosine",
    "GradientNorm",
    "Performance",
    "UpdateGradient",
    "WeightSize",
    "nrbench_components",
]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The probes of this package."""
    return [
        Performance,
        AverageSharpness,
        AscentSharpness,
        GradientNorm,
        WeightSize,
        BatchNormShift,
        UpdateGradient,
        GradientCosine,
        Distance,
    ]
