"""Training methods: SGD, what perturbs its weights uphill or at random, and what stands around another method."""

from collections.abc import Iterable

from nrbench import Component, hookimpl
from nrbench_methods.anti_pgd import AntiPGD
from nrbench_methods.arwp import ARWP
from nrbench_methods.asam import ASAM
from nrbench_methods.averaged import Averaged
from nrbench_methods.awp import AWP
from nrbench_methods.bsam import BSAM
from nrbench_methods.clipped import Clipped
from nrbench_methods.damp import DAMP
from nrbench_methods.entropy_sgd import EntropySGD
from nrbench_methods.esam import ESAM
from nrbench_methods.fisher_sam import FisherSAM
from nrbench_methods.fsam import FSAM
from nrbench_methods.gradient_noise import GradientNoise
from nrbench_methods.gsam import GSAM
from nrbench_methods.hardware_aware import HardwareAware
from nrbench_methods.looksam import LookSAM
from nrbench_methods.lpf_sgd import LPFSGD
from nrbench_methods.m_rwp import MARWP, MRWP
from nrbench_methods.noise_injection import NoiseInjection
from nrbench_methods.noisy_machines import NoisyMachines
from nrbench_methods.ramped import Ramped
from nrbench_methods.rsam import RSAM
from nrbench_methods.rwp import RWP
from nrbench_methods.sam import SAM
from nrbench_methods.sampa import SAMPa
from nrbench_methods.sgd import SGD
from nrbench_methods.sometimes import AESAM, SSSAM
from nrbench_methods.sparse_sam import SparseSAM
from nrbench_methods.trained import Trained

METHODS: tuple[type[Component], ...] = (
    SGD,
    SAM, ASAM, FSAM, GSAM, RSAM, FisherSAM, BSAM, AWP,
    LookSAM, ESAM, AESAM, SSSAM, SparseSAM, SAMPa,
    RWP, LPFSGD, ARWP, MRWP, MARWP, DAMP, AntiPGD, GradientNoise,
    NoiseInjection, HardwareAware, NoisyMachines, EntropySGD,
    Ramped, Averaged, Clipped, Trained,
)  # fmt: skip
"""Uphill, at a part of the cost, at random, under the errors of hardware, and around others."""

__all__ = ["METHODS", *(method.__name__ for method in METHODS), "nrbench_components"]


@hookimpl
def nrbench_components() -> Iterable[type[Component]]:
    """The methods of this package."""
    return METHODS
