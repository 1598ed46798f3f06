"""Checks that every component must pass, for the authors of plugins.

from nrbench.testing import parametrize_with_checks

@parametrize_with_checks([MyNoise(sigma=0.1), MyMethod()])
def test_conformance(component, check):
    check(component)
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn.functional import cross_entropy

from nrbench.base.chance import Chance, EvaluationChance, TrainingChance
from nrbench.base.component import Component, canonical_json
from nrbench.families.backbone import Backbone
from nrbench.families.claim import Claim, checked
from nrbench.families.dataset import Dataset, Images, hold_out
from nrbench.families.displacement import Weights
from nrbench.families.evidence import Measured
from nrbench.families.executor import Executor, Failure
from nrbench.families.method import Method
from nrbench.families.noise import NoiseModel
from nrbench.families.optimizer import Sgd
from nrbench.families.registry import load_registry
from nrbench.families.schedule import Schedule
from nrbench.families.selection import Selection
from nrbench.families.step import State, Step
from nrbench.jobs.batches import Normalisation
from nrbench.jobs.plan import Options
from nrbench.jobs.train import Checkpoint, Trained, train
from nrbench.suite.cell import Training
from nrbench.suite.recipe import Recipe
from nrbench.testing.samples import TinyBackbone, TinyDataset

Check = Callable[[Any], None]


def parametrize_with_checks(components: Iterable[Component]) -> pytest.MarkDecorator:
    """Return a mark that runs a test, given `component` and `check`, for each check that concerns each component."""
    pairs = [
        pytest.param(component, check, id=f"{component.name}-{check.__name__.removeprefix('check_')}")
        for component in components
        for check in checks_for(component)
    ]
    return pytest.mark.parametrize(("component", "check"), pairs)


def checks_for(component: Component) -> Iterator[Check]:
    """Yield the checks that concern a component."""
    yield from _CHECKS[Component]
    for family, checks in _CHECKS.items():
        if family is not Component and isinstance(component, family):
            yield from checks


def check_survives_json(component: Component) -> None:
    """Written as JSON and read again it is equal and has the same fingerprint."""
    context = {"registry": load_registry()}
    again = type(component).model_validate_json(component.model_dump_json(), context=context)
    assert again == component, "read from its own JSON it is another component"
    assert again.fingerprint == component.fingerprint, "read from its own JSON it has another key"


def check_is_described(component: Component) -> None:
    """Its class says in a docstring what it is."""
    assert inspect.getdoc(type(component)) not in (None, inspect.getdoc(Component)), "the class has no docstring"


# -- noise models -----------------------------------------------------------------------------------------------------


def check_noise_is_determined_by_chance(noise: NoiseModel) -> None:
    """The same chance gives the same displacement, and if it is random another draw gives another one."""
    weights = _weights()
    first, again, other = (_displacement(noise, weights, simulated_chip(draw)) for draw in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first), "one chip gives two displacements"
    if noise.random and any(delta.any() for delta in first.values()):
        assert not all(torch.equal(first[name], other[name]) for name in first), "two draws are the same"


def check_noise_writes_no_weights(noise: NoiseModel) -> None:
    """The weights it is given are bit for bit what they were."""
    weights = _weights()
    before = {name: weight.clone() for name, weight in weights.items()}
    _displacement(noise, weights, simulated_chip(0))
    assert all(torch.equal(weights[name], before[name]) for name in before), "the weights were written"


def check_noise_fits_the_weights(noise: NoiseModel) -> None:
    """Every displacement is finite and has the name, shape, data type and device of a weight, in either memory format."""
    for dtype in (torch.float32, torch.float64):
        for memory_format in (torch.contiguous_format, torch.channels_last):
            weights = {
                name: w.to(dtype).to(memory_format=memory_format if w.ndim == 4 else torch.contiguous_format)
                for name, w in _weights().items()
            }
            for chance in (simulated_chip(0), _training_chance(weights)):
                for name, delta in _displacement(noise, weights, chance).items():
                    weight = weights[name]
                    found, wanted = ((t.shape, t.dtype, t.device) for t in (delta, weight))
                    assert found == wanted, f"the displacement of {name} is {found}, the weight {wanted}"
                    assert delta.isfinite().all(), f"the displacement of {name} is not finite"


def check_noise_ignores_the_memory_format(noise: NoiseModel) -> None:
    """A simulated chip is the same whether convolutions are stored channels first or channels last."""
    weights = _weights()
    last = {name: w.to(memory_format=torch.channels_last) if w.ndim == 4 else w for name, w in weights.items()}
    first, second = (_displacement(noise, each, simulated_chip(0)) for each in (weights, last))
    assert all(torch.equal(first[name], second[name]) for name in first), "the memory format changes the noise"


# -- methods ----------------------------------------------------------------------------------------------------------


def check_method_fills_the_gradient(method: Method) -> None:
    """Every weight gets a finite gradient, the loss comes back as a detached finite scalar, and no weight is written."""
    step = _step()
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
    first, second = _step(), _step()
    method.backward(first)
    method.backward(second)
    assert _same(_gradients(first), _gradients(second)), "two equal steps give two gradients"


def check_method_at_strength_0_is_sgd(method: Method) -> None:
    """At strength 0 a rampable method makes one pass, and its gradient is bit for bit that of the loss itself."""
    if not method.rampable:
        return
    step, plain = _step(strength=0.0), _step()
    method.backward(step)
    plain.backward()
    assert step.passes == 1, f"at strength 0 it makes {step.passes:g} passes, not 1"
    assert _same(_gradients(step), _gradients(plain)), "at strength 0 its gradient is not SGD's"


def check_method_survives_a_checkpoint(method: Method) -> None:
    """Stopped after an epoch, written to disk formats and resumed, it ends with bit-equal weights and state."""
    *_, (whole, whole_scalars) = map(_final, _trained(method))
    stopped = next(_trained(method)).checkpoint()
    tensors = load(save(stopped.tensors)) if stopped.tensors else {}
    scalars = json.loads(canonical_json(stopped.scalars))
    *_, (resumed, resumed_scalars) = map(_final, _trained(method, Checkpoint(stopped.epoch, tensors, scalars)))
    assert _same(whole, resumed), "resumed from a checkpoint it ends with other weights or another state"
    assert whole_scalars == resumed_scalars, "resumed from a checkpoint it ends with other numbers in its state"


# -- other families ---------------------------------------------------------------------------------------------------


def check_backbone_maps_images_to_logits(backbone: Backbone) -> None:
    """Images of a batch become one row of finite logits each, and every weight takes part."""
    for shape in _accepted_shapes(backbone):
        model = backbone.build(num_classes=7, input_shape=shape)
        logits = model(torch.randn(4, *shape))
        assert logits.shape == (4, 7), f"4 images and 7 classes give {tuple(logits.shape)}"
        assert logits.isfinite().all(), "the logits are not finite"
        logits.sum().backward()
        unused = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not unused, f"the output does not depend on {unused}"


def check_backbone_is_built_from_the_seed(backbone: Backbone) -> None:
    """The same seed of torch's default generator gives the same weights, another seed others."""
    first, again, other = (_built(backbone, seed) for seed in (0, 0, 1))
    assert _same(first, again), "one seed gives two networks: draw from torch's default generator"
    assert not _same(first, other), "two seeds give one network"


def check_dataset_is_whole(dataset: Dataset) -> None:
    """Images are uint8 and labels int64 from 0, there is a mean and a std for each channel, and loading it twice is equal."""
    root = Options().data_root
    splits = dataset.load(root)
    for part in (splits.train, splits.test):
        assert (part.images.dtype, part.images.ndim) == (torch.uint8, 4), (
            "images are uint8 (count, channels, height, width)"
        )
        assert (part.labels.dtype, part.labels.ndim) == (torch.int64, 1), "labels are int64 (count,)"
        assert len(part.labels) == len(part.images), "there is not one label for each image"
        assert 0 <= part.labels.min() <= part.labels.max() < splits.num_classes
        assert part.images.shape[1:] == splits.input_shape
    assert len(splits.mean) == len(splits.std) == splits.input_shape[0]
    assert all(std > 0 for std in splits.std)
    again = dataset.load(root)
    assert torch.equal(splits.train.images, again.train.images)
    assert torch.equal(splits.test.labels, again.test.labels)


def check_dataset_splits_are_disjoint(dataset: Dataset) -> None:
    """What is held out is not trained on, and together they are the training set."""
    train_images = dataset.load(Options().data_root).train
    numbered = Images(torch.arange(len(train_images)).view(-1, 1, 1, 1), train_images.labels)
    kept, held = hold_out(numbered, 0.25, dataset.fingerprint)
    ids = [set(part.images.flatten().tolist()) for part in (kept, held)]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == len(train_images)


def check_schedule_is_a_factor(schedule: Schedule) -> None:
    """It is finite and not negative throughout a training."""
    for step in range(1000):
        factor = schedule(step / 1000)
        assert isfinite(factor), f"at {step / 1000} of the training it is {factor}"
        assert factor >= 0, f"at {step / 1000} of the training it is {factor}"


def check_selection_chooses_a_trained_epoch(selection: Selection) -> None:
    """Whatever the scores, it chooses one of the epochs there are."""
    chance = torch.Generator().manual_seed(0)
    scores: list[int | None] = torch.randint(0, 5, (20,), generator=chance).tolist()
    for count in range(1, len(scores) + 1):
        chosen = selection.choose(scores[:count])
        assert 1 <= chosen <= count, f"of {count} epochs it chooses {chosen}"


def check_executor_yields_each_item_once(executor: Executor) -> None:
    """Every item comes back once with its value, and one that raises comes back as a failure and costs no other."""
    outcomes = list(executor.map(halved, range(10)))
    assert sorted(outcome.item for outcome in outcomes) == list(range(10))
    for outcome in outcomes:
        if outcome.item % 2:
            assert isinstance(outcome.result, Failure)
            assert outcome.result.kind == "error"
            assert "ValueError" in outcome.result.message
            assert "halved" in outcome.result.traceback
        else:
            assert outcome.result == outcome.item // 2


# -- claims -----------------------------------------------------------------------------------------------------------


def check_claim_without_rows_is_undecided(claim: Claim) -> None:
    """Where no row is there it is undecided and says what is missing; nothing agrees with it."""
    found = checked(claim, Measured((), {}, {}))
    assert (found.verdict, found.agree) == ("undecided", 0), f"without a single row it is {found.verdict}"
    assert found.reason, "it does not say what is missing"


_CHECKS: dict[type[Component], tuple[Check, ...]] = {
    Component: (check_survives_json, check_is_described),
    NoiseModel: (
        check_noise_is_determined_by_chance,
        check_noise_writes_no_weights,
        check_noise_fits_the_weights,
        check_noise_ignores_the_memory_format,
    ),
    Method: (
        check_method_fills_the_gradient,
        check_method_is_deterministic,
        check_method_at_strength_0_is_sgd,
        check_method_survives_a_checkpoint,
    ),
    Backbone: (check_backbone_maps_images_to_logits, check_backbone_is_built_from_the_seed),
    Dataset: (check_dataset_is_whole, check_dataset_splits_are_disjoint),
    Schedule: (check_schedule_is_a_factor,),
    Selection: (check_selection_chooses_a_trained_epoch,),
    Executor: (check_executor_yields_each_item_once,),
    Claim: (check_claim_without_rows_is_undecided,),
}


# -- what the checks work on ------------------------------------------------------------------------------------------


def halved(item: int) -> int:
    """Half an even number; raises `ValueError` for an odd one."""
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item // 2


def _weights() -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(0)
    shapes = {"conv.weight": (6, 3, 3, 3), "norm.weight": (6,), "linear.weight": (5, 24), "linear.bias": (5,)}
    return {name: torch.randn(shape, generator=chance) for name, shape in shapes.items()}


def simulated_chip(draw: int = 0) -> Chance:
    """Return the chance of a simulated chip, to draw a noise model's displacement with."""
    return EvaluationChance("backbone", 0, "report", draw)


def _training_chance(weights: Weights) -> Chance:
    layout = {name: (weight.shape, weight.stride()) for name, weight in weights.items()}
    return TrainingChance(0, 0, layout, device="cpu")


def _displacement(noise: NoiseModel, weights: Weights, chance: Chance) -> Weights:
    delta = noise.displacement(weights, gradient=None, chance=chance)
    assert set(delta) <= set(weights), "a displacement names no weight"
    return delta


def _step(*, strength: float = 1.0) -> Step:
    torch.manual_seed(0)
    model = TinyBackbone().build(num_classes=3, input_shape=(2, 6, 6))
    layout = {name: (p.shape, p.stride()) for name, p in model.named_parameters()}
    return Step(
        model=model,
        images=torch.randn(16, 2, 6, 6),
        labels=torch.arange(16) % 3,
        criterion=partial(cross_entropy, label_smoothing=0.1),
        progress=0.5,
        chance=TrainingChance(0, 7, layout, device="cpu"),
        state={},
        dropout_seed=0,
        strength=strength,
    )


def _gradients(step: Step) -> dict[str, Tensor]:
    return {name: p.grad for name, p in step.model.named_parameters() if p.grad is not None}


def _trained(method: Method, checkpoint: Checkpoint | None = None) -> Iterator[Trained]:
    recipe = Recipe(epochs=3, batch_size=16, optimizer=Sgd(lr=0.1), precision="float32")
    training = Training(TinyDataset(), TinyBackbone(), method, recipe, seed=0)
    splits = training.dataset.load(Path())
    device = torch.device("cpu")
    normalise = Normalisation.of(splits, recipe, device)
    return train(training, splits.train, normalise, num_classes=3, device=device, checkpoint=checkpoint)


def _final(trained: Trained) -> tuple[dict[str, Tensor], dict[str, Any]]:
    state = trained.checkpoint()
    return state.tensors | trained.weights(), state.scalars


def _built(backbone: Backbone, seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return backbone.build(num_classes=4, input_shape=_accepted_shapes(backbone)[0]).state_dict()


def _accepted_shapes(backbone: Backbone) -> list[tuple[int, int, int]]:
    """Return the shapes of usual images that a backbone does not refuse with a ValueError."""
    accepted = []
    for shape in ((3, 32, 32), (1, 28, 28), (3, 64, 64), (3, 224, 224)):
        try:
            backbone.build(num_classes=2, input_shape=shape)
        except ValueError:
            continue
        accepted.append(shape)
    assert accepted, "it takes no images of 1×28×28, 3×32×32, 3×64×64 or 3×224×224"
    return accepted[:2]


def _same(first: State | dict[str, Tensor], second: State | dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
