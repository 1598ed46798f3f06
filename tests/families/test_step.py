from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrbench import Chance, Method, NoiseModel, State, Step, Weights
from nrbench.families.method import own_optimizer, reestimates
from nrbench.families.optimizer import AdamW, Sgd
from nrbench.families.schedule import Linear
from nrbench.families.step import Clock, Rows
from nrbench.testing.samples import (
    Around,
    Averaged,
    gradients,
    layer_weights,
    same,
    sample_step,
    simulated_chip,
    training_chance,
)
from nrbench_methods import RWP, SAM, SGD, NoiseInjection, Ramped
from nrbench_noise import Gaussian


class Sum(NoiseModel):
    """Several noise models, the errors of which add up."""

    name: Literal["sum"] = "sum"
    of: tuple[NoiseModel, ...]

    @property
    def random(self) -> bool:
        return any(model.random for model in self.of)

    def displacement(self, weights: Weights, *, chance: Chance) -> Weights:
        total: dict[str, Tensor] = {}
        for index, model in enumerate(self.of):
            for name, delta in model.displacement(weights, chance=chance.part(str(index))).items():
                total[name] = total[name] + delta if name in total else delta
        return total


@pytest.mark.parametrize("chance_of", [simulated_chip, lambda: training_chance({})], ids=["evaluation", "training"])
def test_the_sum_of_two_equal_noises_spreads_by_root_two(chance_of: Any) -> None:
    """N(0, σ²) + N(0, σ²) has the standard deviation √2 σ, and a sum of two such sums 2 σ, in evaluation and training."""
    weights = layer_weights({"weight": torch.ones(200, 500)})
    pair = Sum(of=(Gaussian(sigma=0.1), Gaussian(sigma=0.1)))
    for model, factor in ((pair, 2**0.5), (Sum(of=(pair, pair)), 2.0)):
        spread = model.displacement(weights, chance=chance_of())["weight"].std().item()
        assert spread == pytest.approx(factor * 0.1, rel=0.02)


class Twice(Method):
    """A method twice in one step: the mean of two of its gradients."""

    name: Literal["twice"] = "twice"
    method: Method

    def backward(self, step: Step) -> Tensor:
        first = self.method.backward(step.within("first"))
        taken = step.take_gradient()
        second = self.method.backward(step.within("second"))
        other = step.take_gradient()
        step.put_gradient({name: (taken[name] + other[name]) / 2 for name in taken})
        return (first + second) / 2


def test_a_method_called_twice_has_its_whole_strength_both_times() -> None:
    """On L = ½‖w‖² the gradient is w + δ: called twice by another method, RWP's δ spreads by σ each time, not σ and σ²."""
    model = nn.Linear(400, 500, bias=False)
    nn.init.ones_(model.weight)

    def half_square(logits: Tensor, labels: Tensor, *, reduction: str = "mean") -> Tensor:
        return 0.5 * logits.square().sum()

    def new_step() -> Step:
        return sample_step(model=model, images=torch.eye(400), labels=torch.zeros(400).long(), criterion=half_square)

    step = new_step()
    for name in ("first", "second"):
        RWP(sigma=0.1).backward(step.within(name))
        spread = (gradients(step)["weight"] - 1).std().item()
        assert spread == pytest.approx(0.1, rel=0.02)
        step.take_gradient()
    assert step.strength == 1.0
    step = new_step()
    Twice(method=RWP(sigma=0.1)).backward(step)
    assert (gradients(step)["weight"] - 1).std().item() == pytest.approx(0.1 / 2**0.5, rel=0.02)


def test_a_step_cannot_be_changed_by_a_method() -> None:
    """`step.strength *= …` is refused; `scaled` is a view, and the step keeps its own strength."""
    step = sample_step(strength=0.5)
    with pytest.raises(FrozenInstanceError):
        step.strength *= 0.1  # type: ignore[misc]
    assert step.scaled(0.5).scaled(0.5).strength == 0.125
    assert step.strength == 0.5


def test_views_share_what_a_step_costs() -> None:
    """Passes made through any view are counted once, and running statistics are updated once."""
    step = sample_step()
    step.scaled(0.5).backward()
    step.within("other").within("inner").backward()
    step.more().backward()
    assert step.passes == step.within("other").passes == 3
    assert int(step.model[1].num_batches_tracked) == 1  # type: ignore[index, arg-type]


@pytest.mark.parametrize("samples", [2, 4])
def test_the_first_pass_is_the_first_that_covers_the_whole_batch(samples: int) -> None:
    """With the batch in parts BatchNorm's statistics are those of all of it, by an extra forward pass at w."""
    step, plain = sample_step(), sample_step()
    RWP(sigma=0.1, samples=samples).backward(step)
    step.finish()
    plain.backward()
    for buffer in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(getattr(step.model[1], buffer), getattr(plain.model[1], buffer)), buffer  # type: ignore[index]
    assert step.passes == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("rows", "whole"),
    [
        (None, True),
        (slice(None), True),
        (slice(0, 16), True),
        (torch.arange(16).flip(0), True),
        (torch.ones(16, dtype=torch.bool), True),
        (slice(0, 8), False),
        (torch.arange(8), False),
        (torch.zeros(16, dtype=torch.int64), False),
        (torch.arange(16) < 8, False),
    ],
    ids=lambda value: None,
)
def test_rows_in_any_form(rows: Rows, whole: bool) -> None:
    """A slice, a tensor of numbers and a mask name the same images; only all of them are the whole batch."""
    step, reference = sample_step(), sample_step()
    loss = step.backward(rows=rows)
    chosen = slice(None) if rows is None else rows
    images, labels = reference.images[chosen], reference.labels[chosen]
    expected = reference.criterion(reference.model.train()(images), labels)
    assert torch.allclose(loss, expected)
    assert step.passes == len(labels) / 16
    assert bool(step.model[1].num_batches_tracked) is whole  # type: ignore[index, arg-type]


def test_losses_are_those_of_each_image() -> None:
    """One loss an image, at w + strength · δ, their mean that of `backward`; a pass with its graph, a third without."""
    delta = {name: torch.full_like(w, 0.02) for name, w in sample_step().weights().items()}
    step, other = sample_step(strength=0.5), sample_step(strength=0.5)
    losses = step.losses(delta)
    assert losses.shape == (16,)
    assert torch.allclose(losses.mean(), other.backward(delta))
    losses.mean().backward()
    assert all(torch.allclose(a, gradients(other)[name]) for name, a in gradients(step).items())
    assert step.passes == 1
    with torch.no_grad():
        assert not step.losses(rows=slice(0, 8)).requires_grad
    assert step.passes == pytest.approx(1 + 0.5 / 3)


@pytest.mark.parametrize("micro_batch", [None, 5])
def test_a_backward_pass_that_tells_each_loss(micro_batch: int | None) -> None:
    """It leaves the gradient of `backward` and returns the losses of `losses`, for the cost of one pass, in parts too."""
    step, plain, other = sample_step(micro_batch=micro_batch, fewest=2), sample_step(), sample_step()
    model = step.model.eval(), plain.model.eval(), other.model.eval()  # in training BatchNorm looks at the parts
    losses = step.backward_each()
    plain.backward()
    assert len(model) == 3
    assert torch.allclose(losses, other.losses(), atol=1e-6)
    assert not losses.requires_grad
    assert step.passes == 1
    assert all(torch.allclose(part, gradients(plain)[name], atol=1e-6) for name, part in gradients(step).items())


def test_the_output_of_another_network() -> None:
    """Logits at other parameters and buffers are those of that network in evaluation mode; this one stays as it is."""
    step, teacher = sample_step(), sample_step().model
    with torch.no_grad():
        for number, tensor in enumerate(teacher.state_dict().values()):
            tensor.add_(number + 1)
    before = {name: tensor.clone() for name, tensor in step.model.state_dict().items()}
    found = step.output(teacher.state_dict())
    assert torch.allclose(found, teacher.eval()(step.images), atol=1e-5)
    assert step.model.training
    assert not found.requires_grad
    assert same(step.model.state_dict(), before)
    assert step.passes == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "value", [[1], {"a": 1}, "x", None, float("nan"), float("inf"), object()], ids=lambda v: type(v).__name__
)
def test_what_no_checkpoint_holds_is_refused(value: Any) -> None:
    """A method that remembers anything but tensors and finite numbers is told so when it does."""
    with pytest.raises(TypeError, match=r"the state 'seen' is .*; a checkpoint holds tensors"):
        State()["seen"] = value


def test_a_fixed_displacement_ignores_the_strength() -> None:
    """With `fixed` δ is taken as it is, also at strength 0."""
    delta = {"4.bias": torch.tensor([1.0, 0.0, -1.0])}
    whole, half, none = sample_step(), sample_step(strength=0.5), sample_step(strength=0.0)
    for step in (whole, half, none):
        step.backward(delta, fixed=True)
    assert same(gradients(whole), gradients(half))
    assert same(gradients(whole), gradients(none))
    scaled = sample_step(strength=0.5)
    scaled.backward(delta)
    assert not same(gradients(whole), gradients(scaled))


def test_put_gradient_is_the_inverse_of_take_gradient() -> None:
    """What was taken can be put back; a weight that is not named has no gradient; what is no weight's is refused."""
    step = sample_step()
    step.backward()
    before = gradients(step)
    step.put_gradient(step.take_gradient())
    assert same(gradients(step), before)
    step.put_gradient({"4.bias": before["4.bias"]})
    assert set(gradients(step)) == {"4.bias"}
    for wrong in ({"5.bias": torch.zeros(3)}, {"4.bias": torch.zeros(1)}):
        with pytest.raises(ValueError, match="no weight of the model"):
            step.put_gradient(wrong)


def test_a_further_batch_has_other_images_and_the_same_weights() -> None:
    """`more` is a view on other images; the gradient of both is the sum of each one's, and each counts as a pass."""
    step, alone = sample_step(bn_statistics="clean"), sample_step(bn_statistics="clean")
    other = step.more()
    assert not torch.equal(other.images, step.images)
    step.backward()
    other.backward()
    cross = alone.criterion
    model = alone.model.train()
    (cross(model(alone.images), alone.labels) + cross(model(other.images), other.labels)).backward()
    assert all(torch.allclose(gradients(step)[n], g, atol=1e-6) for n, g in gradients(alone).items())
    assert step.passes == 2


def test_a_step_made_by_hand_has_no_further_batch() -> None:
    """Where nobody said where further batches come from, asking for one is an error."""
    model = nn.Linear(2, 2)
    step = Step(
        model=model,
        images=torch.zeros(1, 2),
        labels=torch.zeros(1).long(),
        criterion=cross_entropy,
        chance=training_chance({}),
        state=State(),
        optimizer=torch.optim.SGD(model.parameters()),
    )
    with pytest.raises(ValueError, match="no further batch"):
        step.more()


def test_state_within_a_state() -> None:
    """A part has its own names in the same checkpoint; the outer state shows its own names alone."""
    state = State()
    state["count"] = 1
    inner = state.within("method")
    inner["count"] = 2
    inner.within("deeper")["count"] = 3
    assert (dict(state), dict(inner), len(inner)) == ({"count": 1}, {"count": 2}, 1)
    assert state.everything() == {"count": 1, "method/count": 2, "method/deeper/count": 3}
    del inner["count"]
    assert "count" not in inner
    assert "count" in state
    with pytest.raises(ValueError, match="is no name in a state"):
        state["a/b"] = 1


def test_an_average_around_an_average() -> None:
    """Two methods that remember under the same names, one inside the other, each keep their own."""
    step = sample_step()
    method = Averaged(method=Averaged(method=SGD()))
    method.backward(step)
    method.update(sample_step(model=step.model, state=step.state, clock=Clock(step=0)))
    names = set(step.state.everything())
    assert {"count", "method/count", "4.bias", "method/4.bias"} <= names
    assert set(method.evaluation_weights(step.state) or {}) == set(step.weights())


def test_the_optimizer_is_that_of_the_outermost_method_that_has_one() -> None:
    """A method's own optimizer comes before those of methods inside it; different ones side by side are refused."""
    fast, slow = Sgd(lr=1.0), AdamW()
    assert own_optimizer(SGD()) is None
    assert own_optimizer(Ramped(method=SAM(optimizer=fast), schedule=Linear())) == fast
    assert own_optimizer(Around(method=Around(method=SAM(optimizer=fast)))) == fast
    assert own_optimizer(Around(method=SAM(optimizer=fast), optimizer=slow)) == slow

    class Pair(Method):
        """Two methods side by side."""

        name: Literal["pair"] = "pair"
        of: tuple[Method, ...]

        def backward(self, step: Step) -> Tensor:
            return self.of[0].backward(step)

    assert own_optimizer(Pair(of=(SGD(optimizer=fast), SAM(optimizer=fast), RWP()))) == fast
    with pytest.raises(ValidationError, match="different optimizers"):
        Pair(of=(SGD(optimizer=fast), SAM(optimizer=slow)))
    assert own_optimizer(Pair(of=(SGD(optimizer=fast), SAM(optimizer=slow)), optimizer=slow)) == slow


def test_reestimating_is_asked_for_at_any_depth() -> None:
    """A method around one that wants new running statistics wants them too."""
    assert reestimates(Around(method=Around(method=Averaged(method=SGD()))))
    assert not reestimates(Around(method=NoiseInjection(noise=Gaussian())))
