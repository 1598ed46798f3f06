"""Probes: accuracy and loss, sharpness, curvature, gradients, the size of weights and noise, and BatchNorm's part in it."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_probes.batch_norm import BatchNormShift
from nrbench_probes.curvature import Curvature, HessianEigenvalue, HessianTrace
from nrbench_probes.distance import Distance
from nrbench_probes.gradient import GradientNorm
from nrbench_probes.landscape import Flatness, Landscape
from nrbench_probes.performance import ChipYield, Performance
from nrbench_probes.reach import CriticalLength
from nrbench_probes.sharpness import AdaptiveSharpness, AscentSharpness, AverageSharpness
from nrbench_probes.size import WeightSize
from nrbench_probes.trajectory import Displacement, GradientCosine, PerturbedLoss, UpdateGradient

__all__ = [
    "AdaptiveSharpness",
    "AscentSharpness",
    "AverageSharpness",
    "BatchNormShift",
    "ChipYield",
    "CriticalLength",
    "Curvature",
    "Displacement",
    "Distance",
    "Flatness",
    "GradientCosine",
    "GradientNorm",
    "HessianEigenvalue",
    "HessianTrace",
    "Landscape",
    "Performance",
    "PerturbedLoss",
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
        AdaptiveSharpness,
        Curvature,
        HessianEigenvalue,
        HessianTrace,
        CriticalLength,
        ChipYield,
        Flatness,
        Landscape,
        GradientNorm,
        WeightSize,
        BatchNormShift,
        UpdateGradient,
        GradientCosine,
        Distance,
        Displacement,
        PerturbedLoss,
    ]
