"""nrbench: a benchmark of training methods for neural networks whose weights get corrupted.

Everything a plugin or a script may use is here by name. Names are imported when they are first used, so that `import
nrbench` and `nrbench --help` do not wait for torch.
"""

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nrbench.backbone import Backbone as Backbone
    from nrbench.cell import Cell as Cell
    from nrbench.cell import Training as Training
    from nrbench.chance import Chance as Chance
    from nrbench.claim import Claim as Claim
    from nrbench.claim import Comparison as Comparison
    from nrbench.component import Component as Component
    from nrbench.component import DataFile as DataFile
    from nrbench.component import Frozen as Frozen
    from nrbench.dataset import Dataset as Dataset
    from nrbench.dataset import Images as Images
    from nrbench.dataset import Splits as Splits
    from nrbench.errors import DataError as DataError
    from nrbench.errors import MissingError as MissingError
    from nrbench.errors import NrbenchError as NrbenchError
    from nrbench.errors import StoreError as StoreError
    from nrbench.errors import SuiteError as SuiteError
    from nrbench.errors import did_you_mean as did_you_mean
    from nrbench.evidence import Evidence as Evidence
    from nrbench.evidence import Label as Label
    from nrbench.evidence import NoRowError as NoRowError
    from nrbench.evidence import Term as Term
    from nrbench.executor import Executor as Executor
    from nrbench.executor import Failure as Failure
    from nrbench.executor import Outcome as Outcome
    from nrbench.executor import Processes as Processes
    from nrbench.executor import attempt as attempt
    from nrbench.hookspecs import hookimpl as hookimpl
    from nrbench.leaderboard import Leaderboard as Leaderboard
    from nrbench.method import Method as Method
    from nrbench.method import State as State
    from nrbench.method import Step as Step
    from nrbench.method import displaced_backward as displaced_backward
    from nrbench.perturbation import NONE as NONE
    from nrbench.perturbation import NoiseModel as NoiseModel
    from nrbench.perturbation import Perturbation as Perturbation
    from nrbench.perturbation import Scale as Scale
    from nrbench.perturbation import Weights as Weights
    from nrbench.perturbation import forward_at as forward_at
    from nrbench.place import Labelled as Labelled
    from nrbench.place import Patterns as Patterns
    from nrbench.place import Place as Place
    from nrbench.place import best as best
    from nrbench.reading import load_suite as load_suite
    from nrbench.recipe import Recipe as Recipe
    from nrbench.registry import Registry as Registry
    from nrbench.registry import load_registry as load_registry
    from nrbench.runner import Options as Options
    from nrbench.runner import plan as plan
    from nrbench.runner import run as run
    from nrbench.schedule import Schedule as Schedule
    from nrbench.selection import Scoring as Scoring
    from nrbench.selection import Selection as Selection
    from nrbench.store import Store as Store
    from nrbench.suite import Collection as Collection
    from nrbench.suite import Suite as Suite

_HOME = {
    "backbone": ["Backbone"],
    "cell": ["Cell", "Training"],
    "chance": ["Chance"],
    "claim": ["Claim", "Comparison"],
    "component": ["Component", "DataFile", "Frozen"],
    "dataset": ["Dataset", "Images", "Splits"],
    "errors": ["DataError", "MissingError", "NrbenchError", "StoreError", "SuiteError", "did_you_mean"],
    "evidence": ["Evidence", "Label", "NoRowError", "Term"],
    "executor": ["Executor", "Failure", "Outcome", "Processes", "attempt"],
    "hookspecs": ["hookimpl"],
    "leaderboard": ["Leaderboard"],
    "method": ["Method", "State", "Step", "displaced_backward"],
    "perturbation": ["NONE", "NoiseModel", "Perturbation", "Scale", "Weights", "forward_at"],
    "place": ["Labelled", "Patterns", "Place", "best"],
    "recipe": ["Recipe"],
    "registry": ["Registry", "load_registry"],
    "runner": ["Options", "plan", "run"],
    "schedule": ["Schedule"],
    "selection": ["Scoring", "Selection"],
    "store": ["Store"],
    "reading": ["load_suite"],
    "suite": ["Collection", "Suite"],
}

__all__ = sorted(name for names in _HOME.values() for name in names)
__version__ = _version("nrbench")


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"nrbench.{module}"), name)
    raise AttributeError(f"module 'nrbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
