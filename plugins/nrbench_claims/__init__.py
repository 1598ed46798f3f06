"""Claims: what sentences about methods under noise come down to."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_claims.better import Better
from nrbench_claims.comparison import Comparison, ComparisonClaim
from nrbench_claims.correlated import Correlated
from nrbench_claims.gain_grows import GainGrows
from nrbench_claims.optimum import OptimumAbove, OptimumInside, SameOptimum
from nrbench_claims.peak import ProbePeak
from nrbench_claims.probed import ProbeOrder
from nrbench_claims.rows import NoRowError, RowSet, Term

__all__ = [
    "Better",
    "Comparison",
    "ComparisonClaim",
    "Correlated",
    "GainGrows",
    "NoRowError",
    "OptimumAbove",
    "OptimumInside",
    "ProbeOrder",
    "ProbePeak",
    "RowSet",
    "SameOptimum",
    "Term",
    "nrbench_components",
]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The claims of this package."""
    return [Better, OptimumAbove, OptimumInside, SameOptimum, GainGrows, Correlated, ProbeOrder, ProbePeak]
