"""Training methods: SGD, SAM, random weight perturbation, noise injection, ramps around them, weights of one's own."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_methods.noise_injection import NoiseInjection
from nrbench_methods.ramped import Ramped
from nrbench_methods.rwp import RWP
from nrbench_methods.sam import SAM
from nrbench_methods.sgd import SGD
from nrbench_methods.trained import Trained

__all__ = ["RWP", "SAM", "SGD", "NoiseInjection", "Ramped", "Trained", "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The methods of this package."""
    return [SGD, SAM, RWP, NoiseInjection, Ramped, Trained]
