"""Noise models: none, Gaussian, Laplace and a user's own device."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_noise.device_profile import DeviceProfile
from nrbench_noise.gaussian import Gaussian
from nrbench_noise.laplace import Laplace
from nrbench_noise.none import NoNoise

__all__ = ["DeviceProfile", "Gaussian", "Laplace", "NoNoise", "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The noise models of this package."""
    return [NoNoise, Gaussian, Laplace, DeviceProfile]
