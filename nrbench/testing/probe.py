"""Checks of probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor, nn

from nrbench.base.chance import Chips
from nrbench.families.network import Network
from nrbench.families.probe import ObservedStep, Observer, Probe
from nrbench.jobs.data import Data
from nrbench.jobs.job import evaluation_network
from nrbench.suite.cell import Training
from nrbench.suite.recipe import Recipe
from nrbench.testing.samples import Plain, SmallDataset, SmallNetwork, gradients, same, sample_step


def check_probe_leaves_the_network_alone(probe: Probe) -> None:
    """Weights, buffers, gradients and the mode of every module are what they were, and torch's own generator too."""
    if isinstance(probe, Observer):
        _check_observer(probe)
        return
    network, data, chips = sample_network()
    before = {name: tensor.clone() for name, tensor in network.model.state_dict().items()}
    state = torch.get_rng_state()
    probe.measured(network, data.splits, chips)
    assert same(dict(network.model.state_dict()), before), "it changed a weight or a buffer"
    assert all(parameter.grad is None for parameter in network.model.parameters()), "it left a gradient behind"
    assert not any(module.training for module in network.model.modules()), "it left a module in training mode"
    assert torch.equal(torch.get_rng_state(), state), "it used torch's own generator: draw from `chips`"


def check_probe_asks_the_network(probe: Probe) -> None:
    """On a displaced network it passes no image through the model itself, which is at other weights."""
    if isinstance(probe, Observer):
        return
    network, data, chips = sample_network()
    displaced = network.at({name: 0.1 * weight for name, weight in network.weights().items()})
    own, passed = {id(parameter) for parameter in network.model.parameters()}, [False]

    def look(model: nn.Module, arguments: object) -> None:
        passed.append(all(id(parameter) in own for parameter in model.parameters()))

    hook = network.model.register_forward_pre_hook(look)
    try:
        probe.measured(displaced, data.splits, chips)
    finally:
        hook.remove()
    assert not any(passed), (
        "it passes images through the model: ask the network for `logits`, `losses`, `counts` or `gradient`"
    )


def check_probe_measures_numbers(probe: Probe) -> None:
    """It measures finite numbers, the same ones again, also together with another of its class."""
    if isinstance(probe, Observer):
        found = {name: float(value) for name, value in _seen(probe).items()}
        assert found, "it sees nothing"
        assert all(isfinite(value) for value in found.values()), f"it sees {found}"
        again = {name: float(value) for name, value in _seen(probe).items()}
        assert again == found, f"seen again it is {again}, not {found}"
        return
    network, data, chips = sample_network()
    found = probe.measured(network, data.splits, chips)
    assert found, "it measures nothing"
    assert not probe.numbers or found.keys() <= {*probe.numbers}, (
        f"it measures {sorted(found)}, and says {probe.numbers}"
    )
    assert all(isfinite(value) for value in found.values()), f"it measures {found}"
    both = type(probe).measured_together([probe, probe], network, data.splits, chips)
    assert both == [found, found], f"measured again it is {both}, not twice {found}"


def check_probe_says_what_it_costs(probe: Probe) -> None:
    """It says its cost in passes as a number that is not below zero, for whatever number of images there is."""
    for images in ({"train": 1, "validation": 1, "test": 1}, {"train": 50_000, "validation": 5_000, "test": 10_000}):
        passes = probe.passes(images)
        assert isfinite(passes), f"it costs {passes} passes"
        assert passes >= 0, f"it costs {passes} passes"


def _seen(probe: Observer) -> Mapping[str, Tensor | float]:
    return probe.observed(_observed_step())


def _observed_step() -> ObservedStep:
    """Return a step that was made at a displacement, as an observer sees it."""
    step = replace(sample_step(), watched=True)
    loss = step.backward({name: torch.full_like(weight, 0.01) for name, weight in step.weights().items()})
    return ObservedStep(step, gradients(step), loss)


def _check_observer(probe: Observer) -> None:
    """A step that is observed has the weights, buffers and gradients that it had."""
    observed = _observed_step()
    step = observed.step
    before = {name: tensor.clone() for name, tensor in step.model.state_dict().items()}
    found = {name: tensor.clone() for name, tensor in gradients(step).items()}
    probe.observed(observed)
    assert same(dict(step.model.state_dict()), before), "it changed a weight or a buffer"
    assert same(gradients(step), found), "it changed a gradient"
    assert step.passes == 1, "it made passes of the step: `gradient_at` makes one that counts for nobody"


def sample_network() -> tuple[Network, Data, Chips]:
    """Return an untrained network with BatchNorm, small images and chance: what the checks measure a probe on."""
    training = Training(SmallDataset(), SmallNetwork(), Plain(), Recipe(evaluation_batch=16), seed=0)
    data = Data.of(training, Path(), torch.device("cpu"))
    network = evaluation_network(training, data)
    start = {name: weight.clone() for name, weight in network.weights().items()}
    return replace(network, start=start, before=start), data, Chips("backbone", 0, data.device)


CHECKS = (
    check_probe_leaves_the_network_alone,
    check_probe_asks_the_network,
    check_probe_measures_numbers,
    check_probe_says_what_it_costs,
)
