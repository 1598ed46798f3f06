"""How methods hang together: special cases that are another method, what each may ask of a device, and what networks they take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn

import nrbench_methods as methods
from nrbench import (
    Backbone,
    Constant,
    Dataset,
    Images,
    Method,
    Perturbation,
    Recipe,
    Sgd,
    Splits,
    State,
    Step,
    Training,
    Weights,
    is_rampable,
)
from nrbench.families.schedule import Between, LearningRate, OffToOn, Steps
from nrbench.jobs.data import Data
from nrbench.jobs.train import Trained, train
from nrbench.testing.samples import Around, SmallNetwork, gradients, layer_weights, sample_step, training_chance
from nrbench_methods.damp import RelativeNoise
from nrbench_methods.lpf_sgd import FilterNoise
from nrbench_methods.vectors import filter_norms
from tests.plugins.test_method_oracles import CASES, STEPS, network, run

SAM, RWP, SGD = methods.SAM(rho=0.2), methods.RWP(sigma=0.1), methods.SGD()
SAME: dict[str, tuple[Method, Method, float]] = {
    # bit for bit where the arithmetic is the same, to 1e-12 where it is another way to the same number
    "fsam without a mean": (methods.FSAM(rho=0.2, sigma=0.0), SAM, 0.0),
    "gsam without the orthogonal part": (methods.GSAM(rho=0.2, alpha=0.0), SAM, 0.0),
    "sparse_sam of all weights": (methods.SparseSAM(rho=0.2, sparsity=0.0), SAM, 0.0),
    "sparse_sam of all weights, dynamic": (methods.SparseSAM(rho=0.2, sparsity=0.0, mask="dynamic"), SAM, 0.0),
    "looksam at every step": (methods.LookSAM(rho=0.2, k=1), SAM, 0.0),
    "ss_sam at every step": (methods.SSSAM(rho=0.2, probability=1.0), SAM, 0.0),
    "ss_sam at no step": (methods.SSSAM(rho=0.2, probability=0.0), SGD, 0.0),
    "ss_sam from the third step on": (
        methods.SSSAM(rho=0.2, probability=1.0, schedule=OffToOn(until=0.3)),
        methods.Ramped(method=SAM, schedule=OffToOn(until=0.3)),
        0.0,
    ),
    "aesam above any gradient": (methods.AESAM(rho=0.2, low=1e9, high=1e9, decay=0.0), SAM, 0.0),
    "esam of everything": (methods.ESAM(rho=0.2, beta=1.0, gamma=1.0), SAM, 1e-12),
    "rsam from the weights": (methods.RSAM(rho=0.2, sigma=0.0), SAM, 1e-12),
    "fisher_sam without the Fisher": (methods.FisherSAM(gamma=0.2, eta=0.0), SAM, 1e-12),
    "arwp without the past": (methods.ARWP(sigma=0.1, eta=0.0), methods.LPFSGD(gamma=0.1), 0.0),
    "m_arwp without the past": (methods.MARWP(sigma=0.1, eta=0.0), methods.MRWP(sigma=0.1), 0.0),
    "m_rwp with no share of it": (methods.MRWP(sigma=0.1, mix=0.0), SGD, 0.0),
    "hardware_aware": (
        Around(method=methods.HardwareAware(sigma=0.1, deviations=1.5)),
        methods.Clipped(method=methods.RWP(sigma=0.1), deviations=1.5),
        0.0,
    ),
    "clipped at nothing": (methods.Clipped(method=SAM, deviations=1e9), SAM, 0.0),
    "averaged, whose network goes its way": (methods.Averaged(method=SAM, start=0.0), SAM, 0.0),
    "entropy_sgd in steps of one": (
        methods.EntropySGD(
            steps=1, noise=0.0, keep=0.0, inner_lr=0.1, optimizer=Sgd(lr=1.0, momentum=0.0, weight_decay=0.0)
        ),
        methods.SGD(optimizer=Sgd(lr=0.1, momentum=0.0, weight_decay=0.0)),
        1.0,  # the outer learning rate falls with the schedule as well, so the first step alone is the same
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_a_special_case_is_the_other_method(case: str) -> None:
    """Eight steps with BatchNorm, momentum and weight decay lead to the same weights and statistics."""
    method, other, tolerance = SAME[case]
    first, second = network(norm=True), network(norm=True)
    steps = 1 if tolerance == 1.0 else STEPS
    run(method, first, steps)
    run(other, second, steps)
    allowed = 1e-12 if tolerance else 0.0
    for name, value in first.state_dict().items():
        assert (value.double() - second.state_dict()[name].double()).abs().max() <= allowed, name


def test_asam_where_all_sizes_are_1_is_sam() -> None:
    """With weights of ±1 and η = 0, T is 1 and the gradient is SAM's."""

    def signs() -> nn.Sequential:
        model = network(norm=False)
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(torch.where(p > 0, 1.0, -1.0) if "weight" in name else p)
        return model

    first, second = signs(), signs()
    run(methods.ASAM(rho=0.2, eta=0.0), first, 1)
    run(SAM, second, 1)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_lpf_sgd_is_rwp_in_other_units() -> None:
    """On one layer whose filters have weights of one size, γ‖W[f]‖ is σ = γ√n times the largest weight."""

    def layer() -> nn.Sequential:
        model = nn.Sequential(nn.Linear(4, 3, bias=False)).double()
        with torch.no_grad():
            model[0].weight.copy_(torch.tensor([[1.0], [-2.0], [0.5]]).expand(3, 4))
        return model

    first, second = layer(), layer()
    run(methods.LPFSGD(gamma=0.1), first, 1)
    run(methods.RWP(sigma=0.1 * 4**0.5), second, 1)
    assert torch.allclose(first[0].weight, second[0].weight, rtol=0, atol=1e-12)
    assert torch.equal(filter_norms(layer_weights({"w": torch.tensor([[3.0, 4.0]])}))["w"], torch.tensor([[5.0]]))


def test_a_dynamic_mask_by_hand() -> None:
    """Of six weights three move; at the second mask the one with the smallest gradient of them leaves for the luckiest other."""
    method = methods.SparseSAM(mask="dynamic", sparsity=0.5, drop=0.6)
    step = sample_step()
    chances = torch.tensor([0.9, 0.1, 0.8, 0.2, 0.7, 0.3])
    names = {"a": torch.tensor([0.1, 5.0, 3.0, 4.0, 2.0, 6.0])}

    class Lucky:
        def uniform(self, name: str, shape: Any) -> Tensor:
            return chances

    given = replace(step, chance=Lucky(), clock=replace(step.clock, step=0))  # type: ignore[arg-type]
    method._renew(given, names)
    assert given.state["a"].tolist() == [1, 0, 1, 0, 1, 0]  # the three with the highest chances
    method._renew(given, names)  # round(0.6 · 3) = 2 are replaced: those of 0.1 and 2.0, by the chances 0.3 and 0.2
    assert given.state["a"].tolist() == [0, 0, 1, 1, 0, 1]


@pytest.mark.parametrize("mean", ["swa", "ema"])
def test_averages_are_means_of_the_weights(mean: str) -> None:
    """SWA is the mean over epochs' ends from `start` on, EMA the running mean after every step; the network goes its way."""
    method = methods.Averaged(method=SGD, mean=mean, start=0.25, decay=0.8)  # type: ignore[arg-type]
    *_, last = networks = [(t.epoch, weights_of(t), t.weights(), t) for t in trained(method, NoNorm())]
    if mean == "swa":
        expected = [sum(each[1][name] for each in networks[1:]) / 2 for name in last[1]]
        assert all(torch.allclose(last[2][n], e, atol=1e-6) for n, e in zip(last[1], expected, strict=True))
        assert all(torch.equal(networks[0][2][n], networks[0][1][n]) for n in last[1])  # not begun in the first epoch
        assert torch.equal(networks[1][2]["0.weight"], networks[1][1]["0.weight"])  # one epoch is the method itself
    else:
        by_step, weights = [], network(norm=False)
        for number in range(1, 9):
            weights = network(norm=False)
            run(methods.Averaged(method=SGD, mean="ema", start=0.25, decay=0.8), weights, number)
            by_step.append(weights[0].weight.detach().clone())
        state = run(methods.Averaged(method=SGD, mean="ema", start=0.25, decay=0.8), network(norm=False))
        running = by_step[3]  # 2 of 10 is before 0.25, so the fourth step's weights are the first
        for weight in by_step[4:]:
            running = 0.8 * running + 0.2 * weight
        assert torch.allclose(state["mean of 0.weight"], running, atol=1e-12)


def test_the_sharing_of_what_is_judged() -> None:
    """An average of what has no average of its own, inside a clip, is judged; before it begins the inner one is."""
    inner = methods.Averaged(method=SGD, start=0.0)
    outer = methods.Averaged(method=methods.Clipped(method=inner), start=0.9)
    *_, last = trained(outer, NoNorm())
    own = inner.evaluation_weights(State(last.state.everything()).within("method").within("method"))
    judged = outer.evaluation_weights(last.state)
    assert own is not None
    assert judged is not None


class NoNorm(Backbone):
    """Two layers without BatchNorm."""

    name: Literal["no_norm"] = "no_norm"

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        return nn.Sequential(nn.Conv2d(input_shape[0], 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, num_classes))


class Tied(Backbone):
    """Two convolutions with one weight, and a frozen layer."""

    name: Literal["tied"] = "tied"

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        first = nn.Conv2d(input_shape[0], input_shape[0], 3, padding=1)
        second = nn.Conv2d(input_shape[0], input_shape[0], 3, padding=1)
        second.weight = first.weight
        frozen = nn.Conv2d(input_shape[0], 4, 1).requires_grad_(False)
        return nn.Sequential(
            first, nn.Tanh(), second, frozen, nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(num_classes)
        )


class Odd(Dataset):
    """33 images, so that the last batch of sixteen would have one."""

    name: Literal["odd"] = "odd"

    def load(self, root: Path) -> Splits:
        images = torch.randint(0, 256, (33, 2, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        part = Images(images, torch.arange(33) % 3)
        return Splits(part, part, 3, (0.5, 0.5), (0.25, 0.25))


class TiedLinear(Tied):
    """The same with all shapes given."""

    name: Literal["tied_linear"] = "tied_linear"  # type: ignore[assignment]

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        model = super().build(num_classes=num_classes, input_shape=input_shape)
        assert isinstance(model, nn.Sequential)
        model[-1] = nn.Linear(4 * input_shape[1] * input_shape[2], num_classes)
        return model


def trained(method: Method, backbone: Backbone, **recipe: Any) -> Any:
    settings = {"epochs": 3, "batch_size": 16, "optimizer": Sgd(lr=0.05), "held_out": 0.0, **recipe}
    training = Training(Odd(), backbone, method, Recipe(**settings), seed=0)
    return train(training, Data.of(training, Path(), torch.device("cpu")))


def weights_of(network: Trained) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in network.model.named_parameters()}


EVERY: dict[str, Method] = {
    **{case: method for case, (method, _) in CASES.items()},
    "ss_sam": methods.SSSAM(),
    "sparse_sam, dynamic": methods.SparseSAM(mask="dynamic"),
    "averaged": methods.Averaged(method=methods.FSAM(), start=0.3),
    "ema": methods.Averaged(method=methods.ARWP(), mean="ema", start=0.0),
    "clipped": methods.Clipped(method=methods.Averaged(method=methods.GSAM())),
    "teacher at once": methods.NoisyMachines(switch=0.0),
}


@pytest.mark.parametrize("backbone", [SmallNetwork(), NoNorm(), TiedLinear()], ids=lambda b: b.name)
@pytest.mark.parametrize("case", EVERY)
def test_every_method_trains_every_kind_of_network(case: str, backbone: Backbone) -> None:
    """In bfloat16 and channels_last, with a last batch of one image, tied and frozen weights: all finite, what is frozen stays."""
    *_, last = trained(EVERY[case], backbone, precision="bfloat16", clip_norm=5.0)
    weights = last.weights()
    assert all(tensor.isfinite().all() for tensor in weights.values())
    if isinstance(backbone, Tied):
        start = next(trained(SGD, backbone)).weights()
        assert torch.equal(weights["3.weight"], start["3.weight"])
        assert last.model[0].weight is last.model[2].weight
        assert torch.equal(weights["0.weight"], weights["2.weight"])


ASKS = {"aesam": 1, "ss_sam": 1}
"""Whether to climb is known on the host: the one thing that a step waits for."""


@pytest.mark.parametrize("case", EVERY)
def test_no_step_waits_for_the_device(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is brought to the host in a step, but by the two methods whose passes depend on what is drawn or found."""
    step, method, asked = sample_step(), EVERY[case], []
    for name in ("item", "cpu", "tolist", "numpy", "__bool__", "__float__", "__int__", "nonzero"):
        whole = getattr(Tensor, name)

        def counted(self: Tensor, *more: Any, whole: Any = whole, name: str = name, **others: Any) -> Any:
            asked.append(name)
            return whole(self, *more, **others)

        monkeypatch.setattr(Tensor, name, counted)
    method.backward(step)
    monkeypatch.setattr(step.optimizer, "step", lambda: None)  # torch's own
    method.update(step)
    assert len(asked) == ASKS.get(case, 0), asked


PASSES = {
    "bsam": 2 + 1 / 3, "lpf_sgd in parts": 4 / 3, "damp": 4 / 3,  # no pass covers the batch: one more for the statistics
    "sparse_sam": 2 + 3 * 2 / 16 / 2, "sampa": 2 + 1 / 6, "aesam": None, "ss_sam": None, "looksam": None,
    "noisy_machines": None, "teacher at once": (1 + 5 * 4 / 3) / 6, "averaged": 2.0, "ema": 1.0, "clipped": 2.0,
}  # fmt: skip


@pytest.mark.parametrize("case", EVERY)
def test_passes_are_those_that_are_planned(case: str) -> None:
    """What the steps of a training make is what a plan counts with, but for what the first or some of the steps add."""
    networks = list(trained(EVERY[case], SmallNetwork()))
    made = sum(network.passes_per_step for network in networks) / len(networks)
    expected = PASSES.get(case, EVERY[case].planned_passes())
    assert made == pytest.approx(expected, rel=0.02) if expected else 1 <= made <= 2


def test_a_wrapper_from_elsewhere_around_two_of_them() -> None:
    """By the contract alone: half of one method's gradient and half of another's, each with a state of its own."""

    class Half(Method):
        """The mean of two methods' gradients."""

        name: Literal["half"] = "half"
        first: Method
        second: Method

        def planned_passes(self) -> float:
            return self.first.planned_passes() + self.second.planned_passes()

        def backward(self, step: Step) -> Tensor:
            one = self.first.backward(step.within("first"))
            gradient = step.take_gradient()
            other = self.second.backward(step.within("second"))
            rest = step.take_gradient()
            step.put_gradient({name: (part + rest[name]) / 2 for name, part in gradient.items()})
            return (one + other) / 2

        def evaluation_weights(self, state: State) -> Weights | None:
            return self.first.evaluation_weights(state.within("first"))

    both = Half(first=methods.FSAM(), second=methods.ARWP())
    step, one, other = sample_step(), sample_step(), sample_step()
    both.backward(step)
    methods.FSAM().backward(one.within("first"))
    methods.ARWP().backward(other.within("second"))
    for name, part in gradients(step).items():
        assert torch.allclose(part, (gradients(one)[name] + gradients(other)[name]) / 2, atol=1e-6)
    *_, last = trained(
        methods.Averaged(method=Half(first=methods.LookSAM(), second=methods.MARWP()), start=0.0), NoNorm()
    )
    assert all(tensor.isfinite().all() for tensor in last.weights().values())
    assert {name.split("/")[1] for name in last.state.everything() if "/" in name} == {"first", "second"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: methods.GSAM(rho=0.1, rho_min=0.2), "cannot be above rho"),
        (lambda: methods.SAM(rho=-1), "greater than or equal to 0"),
        (lambda: methods.ESAM(beta=0), "greater than 0"),
        (lambda: methods.Ramped(method=methods.BSAM(), schedule=Constant()), "bsam cannot be ramped"),
        (
            lambda: methods.Ramped(method=methods.Clipped(method=methods.BSAM()), schedule=Constant()),
            "cannot be ramped",
        ),
        (lambda: OffToOn(until=1.0), "never be on"),
    ],
)
def test_what_cannot_be(make: Any, message: str) -> None:
    """A strength out of range, a ramp of what has no strength 0, and a schedule that never reaches what it says."""
    with pytest.raises(ValidationError, match=message):
        make()


def test_a_computed_weight_cannot_be_held() -> None:
    """A weight that a parametrisation makes in each pass is refused by name instead of left as it is."""
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    nn.utils.parametrizations.weight_norm(model[0])
    step = sample_step(model=model)
    method = methods.Clipped(method=SGD)
    method.backward(step)
    with pytest.raises(ValueError, match=r"0.weight is computed in each pass"):
        method.update(step)


def test_a_teacher_from_a_file(tmp_path: Path) -> None:
    """The student starts from the file's weights, and learns from it and the labels: 1⅓ passes a step."""
    *_, last = trained(SGD, SmallNetwork())
    save_file(last.weights(), tmp_path / "teacher.safetensors")
    method = methods.NoisyMachines(teacher=tmp_path / "teacher.safetensors", eta=0.0)  # type: ignore[arg-type]
    step = sample_step()
    method.backward(step)
    method.update(sample_step_at_the_start(step))
    assert torch.equal(step.model[0].weight, last.weights()["0.weight"])  # type: ignore[union-attr]
    assert method.planned_passes() == pytest.approx(4 / 3)
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValidationError, match="safetensors"):
        methods.NoisyMachines(teacher=tmp_path / "broken.safetensors")  # type: ignore[arg-type]


def sample_step_at_the_start(step: Step) -> Step:
    return replace(step, clock=replace(step.clock, step=0))


def test_the_length_of_gsams_step_follows_the_learning_rate() -> None:
    """Half way down it is half way between its two lengths."""
    step, other = sample_step(), sample_step()
    methods.GSAM(rho=0.3, rho_min=0.1, alpha=0.0).backward(replace(step, clock=replace(step.clock, lr_factor=0.5)))
    methods.SAM(rho=0.2).backward(other)
    for name, part in gradients(step).items():
        assert torch.allclose(part, gradients(other)[name], atol=1e-6)


# -- what a ramp, a wrapper or an unusual network must not break ---------------------------------------------------------


@pytest.mark.parametrize("case", [c for c, m in EVERY.items() if is_rampable(m)])
def test_a_ramp_at_0_moves_the_weights_as_sgd_does(case: str) -> None:
    """With a schedule that is 0 throughout, three epochs lead to SGD's weights, bit for bit."""
    off = Steps(at=(0.5,), factors=(0.0, 0.0))
    *_, ramped = trained(methods.Ramped(method=EVERY[case], schedule=off), NoNorm())
    *_, plain = trained(SGD, NoNorm())
    assert all(torch.equal(p, weights_of(plain)[name]) for name, p in weights_of(ramped).items())


@pytest.mark.parametrize("method", [methods.LookSAM(), methods.FSAM(), methods.SAMPa()], ids=lambda m: m.name)
def test_what_is_remembered_goes_with_the_strength(method: Method) -> None:
    """A step at strength 0 forgets directions of long ago: the next one is as if nothing had been before."""
    first, again = sample_step(), sample_step()
    method.backward(first)
    assert len(first.state)
    method.backward(replace(first, strength=0.0))
    assert not len(first.state)
    first.take_gradient()
    method.backward(first)
    method.backward(again)
    assert all(torch.equal(part, gradients(again)[name]) for name, part in gradients(first).items())


def test_a_weak_looksam_is_nearly_sgd() -> None:
    """Between its SAM steps too: at a strength of 1e-6 the gradient is SGD's but for a part in a hundred thousand."""
    step, plain = sample_step(strength=1e-6), sample_step()
    method = methods.LookSAM()
    method.backward(replace(step, clock=replace(step.clock, step=5)))  # one of SAM's
    step.take_gradient()
    method.backward(step)
    plain.backward()
    for name, part in gradients(step).items():
        assert (part - gradients(plain)[name]).norm() <= 1e-5 * gradients(plain)[name].norm() + 1e-7


def test_what_is_judged_is_held_too() -> None:
    """Clipped around an average: no judged weight is beyond its bound; an average of what has its own is of that."""
    inner = methods.Averaged(method=SGD, mean="ema", start=0.0, decay=0.9)
    *_, last = trained(methods.Clipped(method=inner, deviations=1.2), NoNorm())
    for name in ("0.weight", "3.weight"):
        judged = last.weights()[name]
        own = State(last.state.everything()).within("method")[f"mean of {name}"]
        assert judged.abs().max() <= 1.2 * own.square().mean().sqrt() * (1 + 1e-6)
    entropy = methods.EntropySGD(steps=2)
    *_, around = trained(methods.Averaged(method=entropy, mean="ema", start=0.0, decay=0.0), NoNorm())
    outer = entropy.evaluation_weights(around.state.within("method"))
    assert outer is not None
    assert torch.equal(around.weights()["0.weight"], outer["0.weight"])


def test_frozen_weights_and_those_of_one_element_are_not_clipped() -> None:
    """A frozen layer keeps an outlier, and a layer with a single weight stays finite."""
    model = nn.Sequential(nn.Conv2d(2, 1, 1), nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(36, 3)).requires_grad_()
    with torch.no_grad():
        model[0].weight[0, 0] = 50.0
    model[0].requires_grad_(False)
    step = sample_step(model=model)
    method = methods.Clipped(method=SGD, deviations=1.0)
    method.backward(step)
    method.update(step)
    assert model[0].weight.max() == 50.0
    assert model[1].weight.isfinite().all()


@pytest.mark.parametrize("perturbation", [FilterNoise(gamma=0.1), RelativeNoise()], ids=lambda p: p.name)
def test_a_computed_weight_is_displaced_once(perturbation: Perturbation) -> None:
    """With weight_norm the noise is on the weight that is computed, and not on the parts that it is computed from as well."""
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3))
    nn.utils.parametrizations.weight_norm(model[0])
    step = sample_step(model=model)
    delta = perturbation.displacement(step.weights(), gradient=None, chance=step.chance)
    assert {"0.weight", "1.weight"} <= set(delta)
    assert not any("original" in name for name in delta)


class Routed(nn.Module):
    """Two layers, of which a pass uses the second where the mean of the first one's output is above a level that moves."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0
        self.first, self.second, self.other = nn.Linear(72, 8), nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return (self.second if self.passes % 2 else self.other)(self.first(x.flatten(1)))


@pytest.mark.parametrize("case", EVERY)
def test_weights_that_some_passes_do_not_use(case: str) -> None:
    """Where a pass finds no gradient of a weight, the others go on: none is lost, and nothing is raised."""
    step, method = sample_step(model=Routed()), EVERY[case]
    for number in range(3):
        chance = training_chance(dict(step.model.named_parameters()), step=number)
        now = replace(step, chance=chance, clock=replace(step.clock, step=number))
        assert method.backward(now).isfinite()
        method.update(now)
        step.optimizer.zero_grad()
    assert all(p.isfinite().all() for p in step.model.parameters())


def test_esam_takes_a_batch_in_parts() -> None:
    """With `micro_batch` the gradient is the same, and no graph of the whole batch is kept."""
    whole, parts = sample_step(model=plain_network()), sample_step(model=plain_network(), micro_batch=4)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append(t.shape[0] if t.ndim == 4 else 0) or t, lambda t: t
    ):
        methods.ESAM().backward(parts)
    methods.ESAM().backward(whole)
    assert max(kept) <= 4
    for name, part in gradients(parts).items():
        assert torch.allclose(part, gradients(whole)[name], atol=1e-6)


def plain_network() -> nn.Module:
    torch.manual_seed(0)
    return NoNorm().build(num_classes=3, input_shape=(2, 6, 6))


def test_an_average_begins_at_the_last_step_at_the_latest() -> None:
    """A start that no step of a short training reaches is no label for plain SGD."""
    *_, last = trained(methods.Averaged(method=SGD, mean="ema", start=0.99), NoNorm())
    assert "count" in last.state


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: methods.BSAM(optimizer=Sgd(lr=0.1)), "the optimizer of bsam is a part of it"),
        (lambda: methods.BSAM(betas=(1.0, 0.9)), "less than 1"),
    ],
)
def test_settings_that_would_do_nothing(make: Any, message: str) -> None:
    """They are refused where they are written."""
    with pytest.raises(ValidationError, match=message):
        make()


def test_the_chance_of_ss_sam_follows_any_schedule() -> None:
    """Of a schedule that follows the learning rate passes can be planned, and a chance is never above 1."""
    assert Recipe(lr_schedule=Constant()).passes_of(methods.SSSAM(schedule=LearningRate())) == 1.5
    assert Recipe().passes_of(methods.SSSAM(schedule=Between(low=3.0, high=3.0))) == 2
