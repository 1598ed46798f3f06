"""Everything that comes with nrbench passes the checks that are published for plugin authors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any, Literal

import pytest
import torch
from pydantic import field_validator
from torch import Tensor, nn

from nrbench import (
    Claim,
    Component,
    Entry,
    Event,
    Head,
    Images,
    Line,
    Network,
    Outcome,
    Probe,
    Registry,
    Scoring,
    Section,
    Sheet,
    Step,
    Told,
    Verdict,
    Watcher,
    attempt,
    is_rampable,
)
from nrbench.base.component import families
from nrbench.families.executor import Serial
from nrbench.families.optimizer import AdamW, Sgd
from nrbench.families.schedule import (
    Between,
    Constant,
    Cosine,
    CosineRamp,
    Falling,
    LearningRate,
    Linear,
    OffToOn,
    Product,
    Quadratic,
    Steps,
)
from nrbench.families.selection import BestEpoch, Last
from nrbench.jobs.processes import Processes
from nrbench.report.plots import Bars, BestOfGroups, Curve, Scatter, Trajectory
from nrbench.report.sections import Differences, Tail, TradeOff
from nrbench.report.surfaces import Surface
from nrbench.testing import Check, SmallDataset, SmallNetwork, checks_for, checks_of, parametrize_with_checks
from nrbench_backbones import MLP, ResNet, Timm, Torchvision, WideResNet
from nrbench_claims import (
    Better,
    Correlated,
    GainGrows,
    OptimumAbove,
    OptimumInside,
    ProbeOrder,
    ProbePeak,
    SameOptimum,
)
from nrbench_datasets import FashionMNISTMini, Synthetic
from nrbench_methods import RWP, SAM, SGD, NoiseInjection, Ramped
from nrbench_noise import DeviceProfile, Gaussian, Laplace, NoNoise
from nrbench_probes import (
    AdaptiveSharpness,
    AscentSharpness,
    AverageSharpness,
    BatchNormShift,
    ChipYield,
    CriticalLength,
    Curvature,
    Displacement,
    Distance,
    Flatness,
    GradientCosine,
    GradientNorm,
    HessianEigenvalue,
    HessianTrace,
    Landscape,
    Performance,
    PerturbedLoss,
    UpdateGradient,
    WeightSize,
)
from nrbench_ray import Ray
from nrbench_tensorboard import TensorBoard
from tests.plugins.test_methods_related import EVERY

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
    *EVERY.values(),
    *(Ramped(method=method, schedule=Linear()) for method in EVERY.values() if is_rampable(method)),
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
    Scoring(on="test", draws=4, noise=Gaussian(sigma=0.2)),
    Performance(on="test", noise=Gaussian(sigma=0.2), draws=2),
    AverageSharpness(noise=Gaussian(sigma=0.1), draws=2),
    AscentSharpness(rho=0.1, group=16),
    GradientNorm(group=16),
    WeightSize(noise=Gaussian(sigma=0.1)),
    BatchNormShift(noise=Gaussian(sigma=0.1), draws=2, layers=True),
    UpdateGradient(),
    Displacement(),
    PerturbedLoss(rho=0.1),
    PerturbedLoss(noise=Gaussian(sigma=0.1), steps=2),
    Distance(),
    GradientCosine(),
    AdaptiveSharpness(rho=0.1, eta=0.01),
    Curvature(draws=2, images=20),
    HessianTrace(draws=2, images=20),
    HessianEigenvalue(steps=3, images=20),
    CriticalLength(level=3.0, draws=2, along="random"),
    ChipYield(noise=Gaussian(sigma=0.1), draws=3),
    Flatness(noise=Gaussian(sigma=0.1)),
    Landscape(points=3, images=20, noise=Gaussian(sigma=0.1)),
    Landscape(points=5, images=20, dimensions=1),
    Constant(),
    Linear(),
    Quadratic(),
    OffToOn(),
    Cosine(),
    Product(of=(Linear(until=0.1), Cosine())),
    CosineRamp(until=0.3),
    Steps(at=(0.3, 0.6), factors=(0.0, 1.0, 0.5)),
    Between(low=1.0, high=0.2, of=Quadratic()),
    Falling(of=Product(of=(Linear(), LearningRate()))),
    LearningRate(),
    Last(),
    BestEpoch(),
    Differences(),
    TradeOff(),
    Tail(),
    Curve.model_validate({"y": {}}),
    Trajectory.model_validate({"x": {}, "y": {"probe": "p", "number": "n"}}),
    Scatter(x="weak", y="strong"),
    BestOfGroups.model_validate({"groups": {"A": "A"}}),
    Bars.model_validate({"y": {}}),
    Surface(probe="p"),
    Serial(),
    Processes(jobs=2),
    Ray(jobs=2),
    TensorBoard(),
    Better.model_validate({"text": "x", "pairs": [{"a": {"method": "A"}, "b": {"best_of": "B*"}}]}),
    OptimumAbove.model_validate({"text": "x", "best_of": "A*", "field": "sigma", "above": {"field": "sigma"}}),
    OptimumInside.model_validate({"text": "x", "best_of": "A*", "field": "sigma"}),
    SameOptimum.model_validate({"text": "x", "best_of": "A*", "field": "sigma"}),
    GainGrows.model_validate(
        {"text": "x", "gains": [{"of": {"method": "A"}, "over": {"method": "B"}}], "along": ["clean", "noisy"]}
    ),
    Correlated.model_validate({"text": "x", "groups": ["A*"], "x": "clean", "y": "noisy"}),
    ProbeOrder.model_validate({"text": "x", "probe": "p", "number": "n", "order": ["A", "B"]}),
    ProbePeak.model_validate({"text": "x", "probe": "p", "number": "n", "methods": ["A", "B", "C"]}),
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
        "Folder",
        "Trained",
        "CIFAR10",
        "CIFAR100",
        "MNIST",
        "FashionMNIST",
        "SVHN",
    }


# -- every check can fail ---------------------------------------------------------------------------------------------


def broken(like: type[Component], **methods: Any) -> Component:
    """A component like one of ours but for some methods."""
    made = type("Broken", (like,), {"__doc__": "Breaks the contract.", "__module__": __name__, **methods})
    return made()  # type: ignore[no-any-return]


def noise_of(displacement: Callable[[Any, Any], Any], **more: Any) -> Component:
    return broken(Gaussian, displacement=lambda self, weights, *, chance: displacement(weights, chance), **more)


def method_of(backward: Callable[[Step], Any], **more: Any) -> Component:
    return broken(SGD, backward=lambda self, step: backward(step), **more)


def flat(weights: Any, chance: Any) -> Any:
    """Noise in the order in which the weight happens to be stored."""
    draws = {n: chance.normal(n, w.shape).to(w.dtype).flatten() for n, w in weights.items()}
    return {n: torch.empty_like(w).set_(draws[n].as_strided(w.shape, w.stride())) for n, w in weights.items()}


def seeded_elsewhere(weights: Any, chance: Any) -> Any:
    """Noise that depends on the draw and asks the chance for nothing."""
    fixed = torch.Generator().manual_seed(hash(getattr(chance, "_coordinates", 0)) % 2**32)
    return {n: torch.randn(w.shape, generator=fixed).to(w.dtype) for n, w in weights.items()}


def seeded(weights: Any, chance: Any) -> Any:
    """Noise that only its draw's first number decides: two parts of one chance are the same but for a constant."""
    first = next(iter(weights))
    shift = chance.normal(first, (1,)).item()
    fixed = torch.Generator().manual_seed(0)
    return {n: torch.randn(w.shape, generator=fixed).to(w.dtype) * shift for n, w in weights.items()}


def moved(step: Step) -> Tensor:
    loss = step.backward()
    for parameter in step.model.parameters():
        parameter.data += 1
    return loss


def shaken(step: Step) -> Tensor:
    """Draws from torch's default generator, which is nobody's."""
    return step.backward({name: torch.randn_like(w) for name, w in step.weights().items()})


COUNT: list[int] = []


def shrinking(self: SGD, step: Step) -> None:
    """Makes the weights smaller after the optimizer's step, whatever the strength."""
    step.optimizer.step()
    for parameter in step.model.parameters():
        parameter.data *= 0.9


def remembering(step: Step) -> Tensor:
    """Remembers outside of the state, so that a checkpoint lacks it."""
    COUNT.append(1)
    return step.backward(share=float(len(COUNT)))


def leaking(step: Step) -> Tensor:
    """What it does first in a step changes what it does then, by way of the optimizer that all views share."""
    group = step.optimizer.param_groups[0]
    group["seen"] = group.get("seen", 0) + 1
    return step.backward(share=float(group["seen"]))


def exposed(step: Step) -> Tensor:
    """Writes into the values that lie behind its state, past the name that it has there."""
    step.state._values["steps"] = 1
    return step.backward()


def starved(step: Step) -> Tensor:
    """Makes half a pass, whatever batch it is given."""
    return step.backward(rows=slice(0, len(step.labels) // 2))


def relabelled(self: SmallDataset, root: Path) -> Any:
    """Its training labels are others each time."""
    splits = SmallDataset.load(self, root)
    return replace(splits, train=Images(splits.train.images, splits.train.labels[torch.randperm(64)]))


def lacking(self: SmallDataset, root: Path) -> Any:
    """It promises a class that no image has."""
    return replace(SmallDataset.load(self, root), num_classes=4)


class Forgetful(Gaussian):
    """Its JSON is not what it is."""

    @field_validator("sigma")
    @classmethod
    def _half(cls, sigma: float) -> float:
        return sigma / 2


class Undescribed(Gaussian):
    pass


class Choosy(Watcher):
    """Takes it that every epoch has a loss."""

    name: Literal["choosy"] = "choosy"

    @contextmanager
    def following(self, folder: Path) -> Iterator[Told]:
        def told(training: str, event: Event) -> None:
            assert event.loss is not None

        yield told


class Losing(Serial):
    """Loses its last item."""

    def map(self, work: Any, items: Any) -> Iterator[Outcome[Any, Any]]:
        yield from (Outcome(item, attempt(work, item)) for item in list(items)[:-1])


class Sure(Claim):
    """Is right whatever there is."""

    name: Literal["sure"] = "sure"

    def verdict(self, evidence: object) -> Verdict:
        return Verdict(agree=1, of=1, verdict="supported")


class Disturbing(Probe):
    """Leaves the network in training mode."""

    name: Literal["disturbing"] = "disturbing"

    def measured(self, network: Network, data: object, chips: object) -> dict[str, float]:
        network.model.train()
        return {"x": 1.0}


class Itself(Probe):
    """Passes images through the model."""

    name: Literal["itself"] = "itself"

    def measured(self, network: Network, data: Any, chips: object) -> dict[str, float]:
        with torch.no_grad():
            return {"mean": float(network.model(network.prepare(data["test"].images)).mean())}


class Undefined(Probe):
    """Measures what is no number."""

    name: Literal["undefined"] = "undefined"

    def measured(self, network: Network, data: object, chips: object) -> dict[str, float]:
        return {"x": float("nan")}


class Rewarding(Undefined):
    """Costs less than nothing."""

    name: Literal["rewarding"] = "rewarding"

    def passes(self, images: object) -> float:
        return -1.0


class Restless(torch.optim.SGD):
    """Moves the weights at a learning rate of 0 too."""

    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["lr"] += 0.1
        return super().step(closure)


class Secretive(torch.optim.SGD):
    """Remembers beside its state."""

    def step(self, closure: Any = None) -> Any:
        self.steps = getattr(self, "steps", 0) + 1
        self.param_groups[0]["lr"] /= self.steps
        return super().step(closure)


def section_of(made: Callable[[Any], list[Sheet]]) -> Section:
    """A section that makes this of its rows."""
    return broken(Tail, parts=lambda self, evidence: made(evidence.rows))  # type: ignore[return-value]


BREAKERS: dict[str, Callable[[], Component]] = {
    "survives_json": lambda: Forgetful(sigma=0.1),
    "is_described": Undescribed,
    "noise_is_determined_by_chance": lambda: noise_of(lambda ws, c: {n: torch.randn_like(w) for n, w in ws.items()}),
    "noise_is_read_anew_as_it_says": lambda: noise_of(
        lambda ws, c: {n: c.read.normal(n, w.shape).to(w.dtype) for n, w in ws.items()}
    ),
    "noise_asks_for_each_number_once": lambda: noise_of(seeded_elsewhere),
    "noise_is_independent_side_by_side": lambda: noise_of(seeded),
    "noise_writes_no_weights": lambda: noise_of(lambda ws, c: {n: w.add_(1) for n, w in ws.items()}),
    "noise_fits_the_weights": lambda: noise_of(lambda ws, c: {n: c.normal(n, w.shape) for n, w in ws.items()}),
    "noise_ignores_the_memory_format": lambda: noise_of(flat),
    "method_fills_the_gradient": lambda: method_of(moved),
    "method_is_deterministic": lambda: method_of(shaken),
    "method_at_strength_0_is_sgd": lambda: method_of(lambda step: step.backward(share=0.5)),
    "method_update_at_strength_0_is_sgd": lambda: broken(SGD, update=shrinking),
    "method_plans_its_passes": lambda: broken(SGD, planned_passes=lambda self: 2.0),
    "method_in_a_ramp_in_a_ramp": lambda: method_of(remembering),
    "method_twice_in_a_step": lambda: method_of(leaking),
    "method_inside_methods": lambda: method_of(exposed),
    "method_survives_a_checkpoint": lambda: method_of(remembering, rampable=False),
    "method_state_under_a_wrapper_survives": lambda: method_of(remembering, rampable=False),
    "method_with_further_batches_and_skipped_updates": lambda: method_of(starved, rampable=False),
    "backbone_maps_images_to_logits": lambda: broken(
        SmallNetwork, build=lambda self, *, num_classes, input_shape: nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    ),
    "backbone_is_built_from_the_seed": lambda: broken(
        SmallNetwork, build=lambda self, **shape: (torch.manual_seed(0), SmallNetwork.build(self, **shape))[1]
    ),
    "dataset_is_whole": lambda: broken(SmallDataset, load=relabelled),
    "dataset_can_be_held_out": lambda: broken(SmallDataset, load=lacking),
    "probe_asks_the_network": Itself,
    "optimizer_moves_the_weights": lambda: broken(Sgd, build=lambda self, ps: Restless(ps, self.lr)),
    "optimizer_survives_a_checkpoint": lambda: broken(Sgd, build=lambda self, ps: Secretive(ps, self.lr)),
    "schedule_is_a_factor": lambda: broken(Linear, __call__=lambda self, progress: 0.5 - progress),
    "selection_chooses_a_trained_epoch": lambda: broken(Last, choose=lambda self, scores: len(scores) - 1),
    "probe_leaves_the_network_alone": Disturbing,
    "probe_measures_numbers": Undefined,
    "probe_says_what_it_costs": Rewarding,
    "executor_yields_each_item_once": Losing,
    "watcher_takes_every_event": Choosy,
    "claim_without_rows_is_undecided": lambda: Sure(text="x"),
    "section_is_whole": lambda: section_of(
        lambda rows: [Sheet("title", "method", (Head("a"), Head("b")), (Line("x", (Entry("1"),)),))] if rows else []
    ),
    "section_of_nothing": lambda: section_of(
        lambda rows: [Sheet("title", "method", (Head("a"),), (Line("x", (Entry("1"),)),))]
    ),
    "section_is_deterministic": lambda: section_of(lambda rows: [Sheet(f"title {time()}", "method", (), ())]),
}


def test_every_check_has_its_breaker() -> None:
    """For each check that is published there is a component above that breaks what it is about."""
    published = {check.__name__ for family in families() for check in checks_of(family)}
    assert published == {f"check_{name}" for name in BREAKERS}


@pytest.mark.parametrize("name", BREAKERS)
def test_the_checks_can_fail(name: str) -> None:
    """A component that breaks what a check is about is caught by that check."""
    component = BREAKERS[name]()
    (check,) = [check for check in checks_for(component) if check.__name__ == f"check_{name}"]
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(component)
