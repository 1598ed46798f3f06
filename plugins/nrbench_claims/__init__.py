"""Claims: what sentences about methods under noise come down to."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_claims.better import Better
from nrbench_claims.correlated import Correlated
from nrbench_claims.gain_grows import GainGrows
from nrbench_claims.optimum import OptimumAbove, OptimumInside, SameOptimum

__all__ = ["Better", "Correlated", "GainGrows", "OptimumAbove", "OptimumInside", "SameOptimum", "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The claims of this package."""
    return [Better, OptimumAbove, OptimumInside, SameOptimum, GainGrows, Correlated]
