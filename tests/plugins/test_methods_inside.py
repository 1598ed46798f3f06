"""Methods and schedules inside others: what is planned is what is made, and what cannot be is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn

import nrbench_methods as methods
from nrbench import Constant, Method, Recipe, Registry, Schedule, Sgd, State, SuiteError, load_suite
from nrbench.families.schedule import Between, Cosine, Falling, LearningRate, Linear, OffToOn, Product, Steps
from nrbench.jobs.train import Trained
from nrbench.testing.samples import EveryOther, SmallNetwork, gradients, sample_step
from tests.conftest import TINY
from tests.plugins.test_methods_related import NoNorm, trained

SAM, SGD = methods.SAM(rho=0.2), methods.SGD()


def ramped(schedule: Schedule, method: Method = SAM) -> Method:
    return methods.Ramped(method=method, schedule=schedule)


def from_half_on(method: Method) -> Method:
    return ramped(OffToOn(until=0.5), method)


PLANS: dict[str, tuple[Method, float]] = {
    "off, then on": (from_half_on(SAM), 1.5),
    "a ramp in a ramp": (from_half_on(from_half_on(SAM)), 1.5),
    "their product": (ramped(Product(of=(OffToOn(until=0.5), OffToOn(until=0.5)))), 1.5),
    "never both": (ramped(Steps(at=(0.5,), factors=(1.0, 0.0)), from_half_on(SAM)), 1.0),
    "with the learning rate": (ramped(LearningRate()), 2.0),
    "against the learning rate": (ramped(Falling(of=LearningRate())), 2.0),
    "against the learning rate, between": (ramped(Between(low=1.0, high=0.0, of=LearningRate())), 2.0),
    "a chance with the learning rate": (methods.SSSAM(rho=0.2, probability=1.0, schedule=LearningRate()), 1.5),
    "a ramp of a chance": (
        from_half_on(methods.SSSAM(rho=0.2, probability=1.0, schedule=OffToOn(until=0.5))),
        1.5,
    ),
    "an average of a clip of a ramp": (methods.Averaged(method=methods.Clipped(method=from_half_on(SAM))), 1.5),
}


@pytest.mark.parametrize("case", PLANS)
def test_what_is_planned_is_made(case: str) -> None:
    """Passes per step, under a learning rate that falls along a cosine, are those of a training of 40 epochs."""
    method, expected = PLANS[case]
    recipe = Recipe(epochs=40, lr_schedule=Cosine())
    made = [network.passes_per_step for network in trained(method, NoNorm(), epochs=40, lr_schedule=Cosine())]
    assert recipe.passes_of(method) == pytest.approx(expected, abs=0.002)
    assert sum(made) / len(made) == pytest.approx(expected, abs=0.07 if "chance" in case else 0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Between(low=1.0, high=0.0, of=Between(low=0.0, high=3.0)), r"the factor would be -0.\d+"),
        (lambda: Falling(of=Between(low=0.0, high=3.0)), "which is below 0"),
        (lambda: methods.Averaged(method=given()), "trained is not trained"),
        (lambda: methods.Clipped(optimizer=Sgd(lr=0.1), method=methods.BSAM()), "optimizer of bsam is a part of it"),
        (lambda: Steps(at=(0.5,), factors=(0.0, 1e300)), "beyond what can be computed with"),
        (lambda: methods.GradientNoise(gamma=1e20), "less than or equal to 10"),
    ],
)
def test_what_cannot_stand_inside(make: Any, message: str) -> None:
    """A factor below 0, weights that nothing trains, an optimizer that nothing uses and numbers without bounds are refused."""
    with pytest.raises(ValidationError, match=message):
        make()


def given() -> Method:
    class Given(Method):
        """Weights from elsewhere."""

        name: Literal["trained"] = "trained"
        trains: ClassVar[bool] = False

        def backward(self, step: Any) -> Tensor:
            raise NotImplementedError

    return Given()


def test_a_learning_rate_above_its_own_is_seen_before_anything_runs(tmp_path: Path, registry: Registry) -> None:
    """A ramp that falls as a learning rate rises to three times its own is refused where the method is written."""
    text = TINY.replace(
        "  RWP: {name: rwp, sigma: 0.1}", "  RWP: {method: {name: rwp}, name: ramped, SCHEDULE}"
    ).replace("SCHEDULE", "schedule: {name: falling, of: {name: learning_rate}}")
    (tmp_path / "suite.yaml").write_text(text)
    with pytest.raises(SuiteError, match=r"suite.yaml:12:8: methods.RWP: where learning_rate is .* below 0"):
        load_suite(tmp_path / "suite.yaml", registry, settings=["recipe.lr_schedule={name: between, high: 3}"])


def test_a_probe_that_no_epoch_meets_is_refused(tmp_path: Path, registry: Registry) -> None:
    """A landscape of an epoch that a method has not, here by its budget, is no empty picture but a mistake."""
    probes = "probes: {landscape: {name: loss_landscape, epochs: [6]}}\n"
    text = TINY.replace("epochs: 3", "epochs: 8, budget: passes").replace("{name: rwp, sigma: 0.1}", "{name: sam}")
    (tmp_path / "suite.yaml").write_text(text + probes)
    with pytest.raises(SuiteError, match=r"probes.landscape: it would be measured after none of the 4 epochs of RWP"):
        load_suite(tmp_path / "suite.yaml", registry)


def test_entropy_sgd_that_never_moves_is_refused() -> None:
    """Where all steps are fewer than one of w, the judged weights would be those before the training."""
    with pytest.raises(ValueError, match="a training of 6 steps moves no weight: 100 of them make one of w"):
        list(trained(methods.EntropySGD(steps=100), NoNorm()))


def test_a_method_judged_by_what_it_began_with_trains_nothing() -> None:
    """Weights that move beside others that are judged and do not are no training."""

    class Stuck(methods.SGD):
        """SGD, judged by its first weights."""

        name: Literal["stuck"] = "stuck"  # type: ignore[assignment]

        def backward(self, step: Any) -> Tensor:
            for name, weight in step.weights().items():
                step.state.setdefault(name, weight.clone())
            return step.backward()

        def evaluation_weights(self, state: State) -> Any:
            return dict(state) or None

    with pytest.raises(ValueError, match="stuck trains nothing"):
        list(trained(Stuck(), NoNorm()))


class Stranger(nn.Module):
    """A frozen layer with an outlier, a parameter that no layer stores, and a layer that is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.last = nn.Linear(72, 8), nn.Linear(8, 3)
        self.frozen.requires_grad_(False)
        self.position = nn.Parameter(torch.zeros(1, 8))
        with torch.no_grad():
            self.frozen.weight[0, 0], self.position[0, 0] = 9.0, 50.0

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.frozen(x.flatten(1)) + self.position)
        return out


class StrangerNetwork(SmallNetwork):
    """Builds a stranger."""

    name: Literal["stranger"] = "stranger"  # type: ignore[assignment]

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        return Stranger()


def test_a_clip_leaves_alone_in_an_average_what_it_leaves_alone_in_the_network() -> None:
    """Frozen layers and parameters that are not stored keep outliers in either order; at strength 0 nothing is held."""
    average = methods.Averaged(method=SGD, mean="ema", start=0.0, decay=0.9)
    clip = methods.Clipped(method=average, deviations=1.0)
    for method in (clip, methods.Averaged(method=methods.Clipped(method=SGD, deviations=1.0), mean="ema", start=0.0)):
        *_, last = trained(method, StrangerNetwork())
        judged = last.weights()
        assert judged["frozen.weight"].max() == 9.0
        assert judged["position"].max() > 45
    off = ramped(Steps(at=(0.9,), factors=(0.0, 1.0)), clip)
    plain, unheld = (list(_judged(method)) for method in (average, off))
    assert torch.equal(plain[1]["last.weight"], unheld[1]["last.weight"])
    assert not torch.equal(plain[-1]["last.weight"], unheld[-1]["last.weight"])


def _judged(method: Method) -> Any:
    for network in trained(method, StrangerNetwork(), epochs=40):
        yield {name: tensor.clone() for name, tensor in network.weights().items()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_teacher_in_another_precision(tmp_path: Path, dtype: torch.dtype) -> None:
    """A file of half or double precision is taken as the network's own numbers."""
    *_, last = trained(SGD, NoNorm())
    save_file({name: tensor.to(dtype) for name, tensor in last.weights().items()}, tmp_path / "teacher.safetensors")
    method = methods.NoisyMachines(teacher=tmp_path / "teacher.safetensors")  # type: ignore[arg-type]
    *_, student = trained(method, NoNorm())
    assert all(tensor.dtype == torch.float32 for tensor in student.weights().values())


def test_a_network_that_stores_nothing_meets_no_noise() -> None:
    """As with a noise model, there is nothing to be trained against."""
    with pytest.raises(ValueError, match="nothing of this network lies on the device"):
        methods.NoisyMachines(switch=0.0).backward(taught(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(72))))


def taught(model: nn.Module) -> Any:
    step = sample_step(model=model)
    step.state["teacher's 1.weight"] = model.state_dict()["1.weight"]
    return step


def test_half_of_rsam_is_that_of_half_its_lengths() -> None:
    """At strength ½ its gradient is that of half of ρ and half of σ, to 1e-6."""
    half, whole = sample_step(strength=0.5), sample_step()
    methods.RSAM(rho=0.2, sigma=0.1).backward(half)
    methods.RSAM(rho=0.1, sigma=0.05).backward(whole)
    for name, part in gradients(half).items():
        assert torch.allclose(part, gradients(whole)[name], atol=1e-6)


def test_what_counts_steps_counts_its_own(tmp_path: Path) -> None:
    """Inside a method that leaves updates out a student still becomes its teacher, and Entropy-SGD's w still moves."""
    *_, last = trained(SGD, NoNorm())
    save_file(last.weights(), tmp_path / "teacher.safetensors")
    student = methods.NoisyMachines(teacher=tmp_path / "teacher.safetensors")  # type: ignore[arg-type]
    *_, after = trained(EveryOther(method=student), NoNorm(), optimizer=Sgd(lr=1e-12))
    assert torch.allclose(after.weights()["0.weight"], last.weights()["0.weight"], atol=1e-6)
    networks = list(_copies(trained(EveryOther(method=methods.EntropySGD(steps=2)), NoNorm())))
    assert not torch.equal(networks[0]["0.weight"], networks[-1]["0.weight"])


def _copies(networks: Any) -> Any:
    network: Trained
    for network in networks:
        yield {name: tensor.clone() for name, tensor in network.weights().items()}


def test_a_perturbation_of_no_strength_costs_one_pass() -> None:
    """With σ = 0 a batch in parts is planned, and so given a budget, as SGD is."""
    for method in (methods.RWP(sigma=0.0, samples=4), methods.DAMP(sigma=0.0), methods.LPFSGD(gamma=0.0, samples=4)):
        assert Recipe().passes_of(method) == 1
    assert Recipe().passes_of(ramped(Constant(), methods.RWP(sigma=0.1, samples=4))) == pytest.approx(4 / 3)
    assert Recipe().passes_of(ramped(Linear())) == pytest.approx(2, abs=0.002)
