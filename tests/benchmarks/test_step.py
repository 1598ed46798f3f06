"""What a training step costs, against SGD's and against what public repositories do."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from nrbench import Method
from nrbench_methods import RWP, SAM, SGD
from tests.benchmarks import references
from tests.benchmarks.conftest import Bench
from tests.benchmarks.models import Stepper, resnet18


@pytest.fixture(scope="module")
def stepper() -> Stepper:
    return Stepper()


@pytest.mark.parametrize(("method", "target"), [(SAM(), "≤ 2.05"), (RWP(), "≤ 1.06")], ids=["sam", "rwp"])
def test_step_against_sgd(bench: Bench, stepper: Stepper, method: Method, target: str) -> None:
    """A step of a method ÷ a step of SGD: ResNet-18, batch 128."""
    times = bench.times(stepper.with_method(method), stepper.with_method(SGD()), rounds=5)
    bench.figure(f"{method.name} step ÷ SGD step", [ours / sgd for ours, sgd in times], target)


@pytest.mark.parametrize("name", ["sam", "rwp", "pytorch_optimizer's sam"])
def test_step_against_references(bench: Bench, stepper: Stepper, name: str) -> None:
    """A step as public repositories write it, float32 in torch's default layout, ÷ ours."""
    model = resnet18().to(memory_format=torch.contiguous_format).train()  # type: ignore[call-overload]
    batch, labels = stepper.batch.contiguous(), stepper.labels
    optimizer = torch.optim.SGD(model.parameters(), 0.05, 0.9, weight_decay=5e-4)
    if name.startswith("pytorch"):
        sam = pytest.importorskip("pytorch_optimizer").SAM(
            model.parameters(), torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=5e-4
        )

        def theirs() -> None:
            torch.nn.functional.cross_entropy(model(batch), labels).backward()
            sam.first_step(zero_grad=True)
            torch.nn.functional.cross_entropy(model(batch), labels).backward()
            sam.second_step(zero_grad=True)
    else:
        theirs = partial(getattr(references, f"{name}_step"), model, optimizer, batch, labels)
    ours = stepper.with_method(RWP() if name == "rwp" else SAM())
    times = bench.times(ours, theirs, rounds=3)
    bench.figure(f"{name} step as published ÷ ours", [other / mine for mine, other in times], "≥ 1")
