"""Everything that comes with nrbench passes the checks that are published for plugin authors."""

from __future__ import annotations

from typing import Literal

import pytest

from nrbench import Component, Method, Registry, Step
from nrbench.families.executor import Serial
from nrbench.families.optimizer import AdamW, Sgd
from nrbench.families.schedule import Constant, Cosine, Linear, OffToOn, Quadratic
from nrbench.families.selection import BestEpoch, Last
from nrbench.jobs.processes import Processes
from nrbench.testing import Check, checks_for, parametrize_with_checks
from nrbench_backbones import MLP, ResNet, Timm, Torchvision, WideResNet
from nrbench_claims import Better, Correlated, GainGrows, OptimumAbove, OptimumInside, SameOptimum
from nrbench_datasets import FashionMNISTMini, Synthetic
from nrbench_methods import RWP, SAM, SGD, NoiseInjection, Ramped
from nrbench_noise import DeviceProfile, Gaussian, Laplace, NoNoise
from nrbench_ray import Ray

DEVICE = DeviceProfile.model_validate(
    {
        "table": [{"magnitude": 0, "std": 0.01}, {"magnitude": 1, "mean": -0.02, "std": 0.05}],
        "levels": 16,
        "stuck_off": 0.1,
    }
)
BUILTINS: list[Component] = [
    SGD(),
    SAM(rho=0.1),
    RWP(sigma=0.1),
    RWP(sigma=0.1, samples=3, noise=Laplace(b=1.0)),
    NoiseInjection(noise=DEVICE),
    Ramped(method=SAM(rho=0.1), schedule=Quadratic()),
    Ramped(method=RWP(sigma=0.1), schedule=OffToOn()),
    NoNoise(),
    Gaussian(sigma=0.1),
    Laplace(b=0.1),
    DEVICE,
    ResNet(depth=8),
    ResNet(depth=9, width=8),
    ResNet(depth=50, width=4),
    WideResNet(depth=10, width=2),
    MLP(),
    Torchvision(model="resnet18", cifar_stem=True),
    Timm(model="resnet18", cifar_stem=True),
    FashionMNISTMini(train_size=100),
    Synthetic(),
    Sgd(),
    Sgd(momentum=0),
    AdamW(),
    Gaussian(sigma=0.0),
    Constant(),
    Linear(),
    Quadratic(),
    OffToOn(),
    Cosine(),
    Last(),
    BestEpoch(),
    Serial(),
    Processes(jobs=2),
    Ray(jobs=2),
    Better.model_validate({"text": "x", "pairs": [{"a": {"method": "A"}, "b": {"best_of": "B*"}}]}),
    OptimumAbove.model_validate({"text": "x", "best_of": "A*", "field": "sigma", "above": {"field": "sigma"}}),
    OptimumInside.model_validate({"text": "x", "best_of": "A*", "field": "sigma"}),
    SameOptimum.model_validate({"text": "x", "best_of": "A*", "field": "sigma"}),
    GainGrows.model_validate(
        {"text": "x", "gains": [{"of": {"method": "A"}, "over": {"method": "B"}}], "along": ["clean", "noisy"]}
    ),
    Correlated.model_validate({"text": "x", "groups": ["A*"], "x": "clean", "y": "noisy"}),
]


@parametrize_with_checks(BUILTINS)
def test_conformance(component: Component, check: Check) -> None:
    """A built-in component passes each check that concerns it."""
    check(component)


def test_every_builtin_is_checked(registry: Registry) -> None:
    """No component of ours is left out above, but what needs files, which its own tests write."""
    ours = {entry.component for entry in registry.entries if entry.plugin.distribution == "nrbench"}
    assert {component.__name__ for component in ours - {type(component) for component in BUILTINS}} <= {
        "Npz",
        "Trained",
        "CIFAR10",
        "CIFAR100",
        "MNIST",
        "FashionMNIST",
        "SVHN",
    }


class Writer(Method):
    """A method that breaks the contract: it writes the weights."""

    name: Literal["writer"] = "writer"

    def backward(self, step: Step) -> object:  # type: ignore[override]
        loss = step.backward()
        for parameter in step.model.parameters():
            parameter.data += 1
        return loss


def test_the_checks_can_fail() -> None:
    """A method that writes the weights is caught."""
    method = Writer()
    (check,) = [check for check in checks_for(method) if check.__name__ == "check_method_fills_the_gradient"]
    with pytest.raises(AssertionError, match="was written"):
        check(method)
