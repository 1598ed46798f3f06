"""Training methods: SGD, SAM, random weight perturbation, noise injection, and the ramp around any of them."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_methods.noise_injection import NoiseInjection
from nrbench_methods.ramped import Ramped
from nrbench_methods.rwp import RWP
from nrbench_methods.sam import SAM
from nrbench_methods.sgd import SGD

__all__ = ["RWP", "SAM", "SGD", "NoiseInjection", "Ramped", "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The methods of this package."""
    return [SGD, SAM, RWP, NoiseInjection, Ramped]
