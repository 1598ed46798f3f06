"""Checks that every component must pass, for the authors of plugins.

from nrbench.testing import parametrize_with_checks

@parametrize_with_checks([MyNoise(sigma=0.1), MyMethod()])
def test_conformance(component, check):
    check(component)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from nrbench.base.component import Component, family_of
from nrbench.testing import (
    backbone,
    claim,
    component,
    dataset,
    executor,
    method,
    noise,
    optimizer,
    probe,
    schedule,
    section,
    selection,
    watcher,
)
from nrbench.testing.samples import (
    SmallDataset,
    SmallNetwork,
    layer_weights,
    sample_step,
    sample_weights,
    simulated_chip,
)

__all__ = [
    "SmallDataset",
    "SmallNetwork",
    "checks_for",
    "checks_of",
    "layer_weights",
    "parametrize_with_checks",
    "sample_step",
    "sample_weights",
    "simulated_chip",
]

Check = Callable[[Any], None]
_CHECKS: Mapping[str, tuple[Check, ...]] = {
    "backbones": backbone.CHECKS,
    "claims": claim.CHECKS,
    "datasets": dataset.CHECKS,
    "executors": executor.CHECKS,
    "methods": method.CHECKS,
    "noise": noise.CHECKS,
    "optimizers": optimizer.CHECKS,
    "probes": probe.CHECKS,
    "schedules": schedule.CHECKS,
    "sections": section.CHECKS,
    "selections": selection.CHECKS,
    "watchers": watcher.CHECKS,
}
"""The checks of each family, a file each."""


def parametrize_with_checks(components: Iterable[Component]) -> pytest.MarkDecorator:
    """Return a mark that runs a test, given `component` and `check`, for each check that concerns each component."""
    pairs = [
        pytest.param(each, check, id=f"{each.name}-{check.__name__.removeprefix('check_')}")
        for each in components
        for check in checks_for(each)
    ]
    return pytest.mark.parametrize(("component", "check"), pairs)


def checks_for(each: Component) -> Iterator[Check]:
    """Yield the checks that concern a component: those of every component, and those of its family."""
    family = family_of(type(each))
    yield from checks_of(family._family if family else "")


def checks_of(family: str) -> tuple[Check, ...]:
    """Return the checks of a family by its word, such as "noise": those of every component, and its own."""
    return (*component.CHECKS, *_CHECKS.get(family, ()))
