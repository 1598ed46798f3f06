"""Checks of methods."""

from __future__ import annotations

import json
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from nrbench.base.component import canonical_json
from nrbench.families.method import Method, is_rampable
from nrbench.jobs.train import Checkpoint, Trained
from nrbench.suite.recipe import Recipe
from nrbench.testing.samples import Around, Averaged, EveryOther, Halved, gradients, same, sample_step, trained


def check_method_fills_the_gradient(method: Method) -> None:
    """Every weight gets a finite gradient, the loss comes back as a detached finite scalar, and no weight is written."""
    step = sample_step()
    before = {name: p.detach().clone() for name, p in step.model.named_parameters()}
    loss = method.backward(step)
    assert loss.shape == (), f"the loss is a tensor of shape {tuple(loss.shape)}, not a scalar"
    assert not loss.requires_grad, "the loss is not detached"
    assert loss.isfinite(), "the loss is not finite"
    assert step.passes > 0, "no pass was made through step.backward"
    for name, parameter in step.model.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
        assert torch.equal(parameter.detach(), before[name]), f"{name} was written"


def check_method_is_deterministic(method: Method) -> None:
    """Two equal steps give bit-equal gradients."""
    first, second = sample_step(), sample_step()
    method.backward(first)
    method.backward(second)
    assert same(gradients(first), gradients(second)), "two equal steps give two gradients"


def check_method_at_strength_0_is_sgd(method: Method) -> None:
    """At strength 0 a rampable method makes one pass, and its gradient is bit for bit that of the loss itself."""
    if not is_rampable(method):
        return
    step, plain = sample_step(strength=0.0), sample_step()
    method.backward(step)
    plain.backward()
    assert step.passes == 1, f"at strength 0 it makes {step.passes:g} passes, not 1"
    assert same(gradients(step), gradients(plain)), "at strength 0 its gradient is not SGD's"


def check_method_update_at_strength_0_is_sgd(method: Method) -> None:
    """At strength 0 the update of a rampable method moves the weights as the optimizer alone does, bit for bit."""
    if not is_rampable(method):
        return
    step, plain = sample_step(strength=0.0), sample_step()
    method.backward(step)
    method.update(step)
    plain.backward()
    plain.optimizer.step()
    moved, expected = (dict(each.model.named_parameters()) for each in (step, plain))
    assert same(moved, expected), "at strength 0 its update is not the optimizer's"


def check_method_plans_its_passes(method: Method) -> None:
    """The passes that it plans are those that its steps make, but for half a one: plans and budgets count with them."""
    if method.trains:
        made = [network.passes_per_step for network in trained(method)]
        mean, planned = sum(made) / len(made), Recipe().passes_of(method)
        assert abs(mean - planned) <= 0.5, f"it plans {planned:g} passes a step and makes {mean:g}"


def check_method_in_a_ramp_in_a_ramp(method: Method) -> None:
    """Inside two methods that each take half of its strength it has a quarter of it, bit for bit."""
    twice, once = sample_step(), sample_step()
    Halved(method=Halved(method=method)).backward(twice)
    method.backward(once.scaled(0.25))
    assert same(gradients(twice), gradients(once)), "half of half its strength is not a quarter of it"


def check_method_twice_in_a_step(method: Method) -> None:
    """What it does a second time in one step, under another name, is what it does there alone: nothing leaks."""
    both, alone = sample_step(bn_statistics="both"), sample_step(bn_statistics="both")
    method.backward(both.within("first"))
    both.take_gradient()
    for _ in range(both._passes.batches - 1):
        alone.more()  # a further batch that the first has taken
    method.backward(both.within("second"))
    method.backward(alone.within("second"))
    assert same(gradients(both), gradients(alone)), "what it does first in a step changes what it does then"


def check_method_inside_methods(method: Method) -> None:
    """Two methods deep inside others it trains as it does inside one, but for the random numbers it draws."""
    deep, shallow = sample_step(), sample_step()
    Around(method=Around(method=Around(method=method))).backward(deep)
    method.backward(shallow.within("method").within("method").within("method"))
    assert same(gradients(deep), gradients(shallow)), "inside other methods its gradient is another"
    others = [name for name in deep.state.everything() if not name.startswith("method/method/method/")]
    assert not others, f"it remembers under the names of others: {others[:3]}"


def check_method_survives_a_checkpoint(method: Method) -> None:
    """Stopped after any epoch, written to disk formats and resumed, it ends with bit-equal weights and state."""
    _survives(method)


def check_method_state_under_a_wrapper_survives(method: Method) -> None:
    """The same inside a method that keeps a running mean of the weights and a state of its own."""
    _survives(Averaged(method=Around(method=method)))


def check_method_with_further_batches_and_skipped_updates(method: Method) -> None:
    """The same inside a method that takes two batches for each update and leaves every second update out."""
    if method.trains:
        step = sample_step()
        EveryOther(method=method).backward(step)
        assert step.passes >= 2, f"two batches make {step.passes:g} passes"
    _survives(EveryOther(method=method))


def _survives(method: Method) -> None:
    checkpoints = []
    for network in trained(method):
        weights = network.weights()
        stopped = network.checkpoint(weights)
        tensors = load(save(stopped.tensors)) if stopped.tensors else {}
        scalars = json.loads(canonical_json(stopped.scalars))
        checkpoints.append(Checkpoint(stopped.epoch, load(save(weights)), tensors, scalars))
        whole, whole_numbers = _everything(network)
    for again in checkpoints[:-1]:
        *_, (resumed, resumed_numbers) = map(_everything, trained(method, again))
        after = f"resumed after epoch {again.epoch} it ends with other"
        assert same(whole, resumed), f"{after} weights or another state"
        assert whole_numbers == resumed_numbers, f"{after} numbers in its state"


def _everything(network: Trained) -> tuple[dict[str, Tensor], dict[str, Any]]:
    weights = network.weights()
    checkpoint = network.checkpoint(weights)
    return weights | checkpoint.tensors, checkpoint.scalars


CHECKS = (
    check_method_fills_the_gradient,
    check_method_is_deterministic,
    check_method_at_strength_0_is_sgd,
    check_method_update_at_strength_0_is_sgd,
    check_method_plans_its_passes,
    check_method_in_a_ramp_in_a_ramp,
    check_method_twice_in_a_step,
    check_method_inside_methods,
    check_method_survives_a_checkpoint,
    check_method_state_under_a_wrapper_survives,
    check_method_with_further_batches_and_skipped_updates,
)
