from __future__ import annotations

from collections.abc import Iterator
from math import cos, isfinite, pi
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from nrbench import Backbone, Cell, Method, Recipe, State, Step, Training, Weights
from nrbench.families.loading import copy_into
from nrbench.families.optimizer import AdamW, Sgd
from nrbench.families.schedule import Constant, Cosine, OffToOn, Product
from nrbench.families.selection import BestEpoch, Last
from nrbench.jobs.batches import Batches
from nrbench.jobs.data import Data
from nrbench.jobs.device import computing
from nrbench.jobs.job import evaluation_network
from nrbench.jobs.train import Trained, initial_model, train
from nrbench.testing.samples import SmallDataset, SmallNetwork
from nrbench_backbones import MLP
from nrbench_methods import RWP, SAM, SGD, Ramped
from nrbench_noise import Gaussian, NoNoise

CPU = torch.device("cpu")


def training(method: Method | None = None, *, seed: int = 0, **recipe: Any) -> Training:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 16, "held_out": 0.0, "optimizer": Sgd(lr=0.1)} | recipe
    return Training(SmallDataset(), SmallNetwork(), method or SGD(), Recipe(**settings), seed)


def data_of(what: Training) -> Data:
    return Data.of(what, Path(), CPU)


def run(what: Training, **options: Any) -> Iterator[Trained]:
    return train(what, data_of(what), **options)


def final(what: Training) -> dict[str, Tensor]:
    *_, weights = (trained.weights() for trained in run(what))
    return weights


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "optimizer",
    [Sgd(lr=0.1), Sgd(lr=0.1, momentum=0.8, weight_decay=0.01, nesterov=True), AdamW(lr=0.01, betas=(0.8, 0.99))],
    ids=["sgd", "nesterov", "adamw"],
)
def test_training_is_the_textbook_loop(optimizer: Sgd | AdamW) -> None:
    """Weights equal those of a plain loop over the same batches whose update and learning rate are written out as formulas."""
    what = training(optimizer=optimizer, label_smoothing=0.1, lr_schedule=Cosine())
    splits = what.dataset.load(Path())
    model = initial_model(what, data_of(what)).train()
    memories = [[torch.zeros_like(p), torch.zeros_like(p)] for p in model.parameters()]
    batches = Batches(splits.train, data_of(what).normalise, what.recipe, 0)
    step, total = 0, 2 * len(batches)
    for epoch in (1, 2):
        for images, labels in batches.epoch(epoch):
            lr = optimizer.lr * 0.5 * (1 + cos(pi * step / total))
            smoothed = 0.9 * torch.nn.functional.one_hot(labels, 3) + 0.1 / 3
            loss = -(smoothed * log_softmax(model(images), 1)).sum(1).mean()
            step += 1
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for p, g, memory in zip(model.parameters(), gradients, memories, strict=True):
                    p.copy_(updated(optimizer, p, g, memory, lr, step))
    for name, weight in final(what).items():
        assert torch.allclose(weight, model.state_dict()[name], atol=1e-6), name


def test_the_loss_is_the_mean_over_the_epochs_images() -> None:
    """What is reported of an epoch is the mean over images, an unequal last batch included."""
    what = training(batch_size=24, optimizer=Sgd(lr=1e-12, momentum=0.0, weight_decay=0.0), augment=(), epochs=1)
    splits = what.dataset.load(Path())
    model = initial_model(what, data_of(what)).train()
    losses = [
        cross_entropy(model(x), y, reduction="sum")
        for x, y in Batches(splits.train, data_of(what).normalise, what.recipe, 0).epoch(1)
    ]
    (trained,) = run(what)
    assert trained.loss == pytest.approx(sum(losses).item() / 64, rel=1e-5)


def test_initial_weights_depend_on_backbone_and_seed_alone() -> None:
    """Every method starts from the same network."""
    models = [initial_model(w, data_of(w)).state_dict() for w in (training(), training(SAM()), training(seed=1))]
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


class Remembering(Method):
    """Counts its steps and averages its weights, as an exponential moving average would."""

    name: Literal["remembering"] = "remembering"

    def backward(self, step: Step) -> Tensor:
        return step.backward()

    def update(self, step: Step) -> None:
        super().update(step)
        step.state["steps"] = step.state.get("steps", 0) + 1
        for name, weight in step.weights().items():
            old = step.state.get(name, torch.zeros_like(weight))
            step.state[name] = old.lerp(weight, 0.1)

    def evaluation_weights(self, state: State) -> Weights:
        return {name: value for name, value in state.items() if isinstance(value, Tensor)}


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "changes",
    [
        {"method": SGD()},
        {"method": SAM(rho=0.1)},
        {"method": RWP(sigma=0.1)},
        {"method": Ramped(method=RWP(sigma=0.1), schedule=Constant())},
        {"method": Remembering()},
        {"method": SGD(), "optimizer": AdamW()},
        {"method": SGD(), "channels_last": False},
        {"method": RWP(), "precision": "bfloat16"},
    ],
    ids=["sgd", "sam", "rwp", "ramped", "average", "adamw", "channels first", "bfloat16"],
)
def test_interrupted_is_uninterrupted(changes: dict[str, Any], stop: int) -> None:
    """A training resumed from the checkpoint of any epoch ends with bit-equal weights, optimizer and method state."""
    what = training(epochs=6, **changes)
    whole, checkpoint = None, None
    for trained in run(what):
        if trained.epoch == stop:
            checkpoint = trained.checkpoint(trained.weights())
        whole = (weights := trained.weights(), trained.checkpoint(weights))
    for trained in run(what, checkpoint=checkpoint):
        resumed = (weights := trained.weights(), trained.checkpoint(weights))
    assert whole is not None
    assert same(whole[0], resumed[0])
    assert same(whole[1].tensors, resumed[1].tensors)
    assert whole[1].scalars == resumed[1].scalars


def test_the_judged_weights_are_the_methods_choice() -> None:
    """A method that averages is judged on its average and trained on its weights."""
    what = training(Remembering(), epochs=1)
    (trained,) = run(what)
    assert torch.equal(trained.weights()["0.weight"], trained.state["0.weight"])
    assert not torch.equal(trained.weights()["0.weight"], trained.model.state_dict()["0.weight"])
    assert trained.state["steps"] == 4


def test_no_epochs_is_the_initial_network() -> None:
    """With 0 epochs there is epoch 0: bit for bit the network as it was initialised, without a step made."""
    what = training(epochs=0)
    (trained,) = run(what)
    assert (trained.epoch, trained.loss, trained.passes_per_step) == (0, 0.0, 0.0)
    initial = initial_model(what, data_of(what)).state_dict()
    assert trained.weights().keys() == initial.keys()
    assert same(trained.weights(), initial)


def test_passes_are_measured() -> None:
    """SGD and RWP make one pass a step, SAM two, a ramp that is off for half of the training one and a half."""
    from nrbench.families.schedule import OffToOn

    for method, passes in (
        (SGD(), 1),
        (RWP(), 1),
        (SAM(), 2),
        (Ramped(method=SAM(), schedule=OffToOn(until=0.5)), 1.5),
    ):
        epochs = [trained.passes_per_step for trained in run(training(method))]
        assert sum(epochs) / len(epochs) == passes


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch looks at all inputs of the graph
@pytest.mark.parametrize("method", [SGD(), SAM(rho=0.1), RWP(sigma=0.1)], ids=lambda method: method.name)
def test_a_compiled_training_is_the_same_but_for_rounding(method: Method) -> None:
    """A network that torch compiles has the same names and, after two epochs, the same weights to 1e-4."""
    plain, compiled = final(training(method)), final(training(method, compile=True))
    assert plain.keys() == compiled.keys()
    for name, tensor in plain.items():
        assert torch.allclose(tensor.double(), compiled[name].double(), atol=1e-4), name
    assert not same(plain, compiled), "nothing was compiled"


def test_precision_is_set_for_the_time_of_a_job() -> None:
    """Inside a recipe with tf32 a GPU may round products, inside any other it may not, and afterwards all is as before."""
    switches = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [switch.allow_tf32 for switch in switches]
    for precision, allowed in (("tf32", True), ("float32", False), ("bfloat16", False)):
        with computing(Recipe(precision=precision), CPU):
            assert [switch.allow_tf32 for switch in switches] == [allowed, allowed]
            assert torch.are_deterministic_algorithms_enabled()
        assert [switch.allow_tf32 for switch in switches] == before


def updated(optimizer: Sgd | AdamW, w: Tensor, g: Tensor, memory: list[Tensor], lr: float, step: int) -> Tensor:
    """One update written out: SGD with momentum and weight decay at w, or Adam with decoupled weight decay."""
    if isinstance(optimizer, Sgd):
        g = g + optimizer.weight_decay * w
        memory[0] = optimizer.momentum * memory[0] + g
        return w - lr * (g + optimizer.momentum * memory[0] if optimizer.nesterov else memory[0])
    first, second = optimizer.betas
    memory[0] = first * memory[0] + (1 - first) * g
    memory[1] = second * memory[1] + (1 - second) * g**2
    direction = memory[0] / (1 - first**step) / ((memory[1] / (1 - second**step)).sqrt() + 1e-8)
    return w - lr * (direction + optimizer.weight_decay * w)


def test_dropout_masks_are_shared_by_a_step_and_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both passes of a SAM step drop the same units, the next step others, and the training made again the same once more."""
    masks: list[Tensor] = []
    original = torch.nn.functional.dropout

    def drop(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        masks.append(original(torch.ones_like(x), p, training))
        return x * masks[-1]

    monkeypatch.setattr(torch.nn.functional, "dropout", drop)
    what = training(SAM(rho=0.1), epochs=1)
    what = Training(what.dataset, MLP(hidden=(16,), dropout=0.5), what.method, what.recipe, 0)
    first, again = final(what), final(what)
    assert same(first, again)
    steps, repeated = masks[:8], masks[8:]  # 4 steps of 2 passes, twice
    assert all(torch.equal(a, b) for a, b in zip(steps, repeated, strict=True))
    assert all(torch.equal(steps[i], steps[i + 1]) for i in range(0, 8, 2))
    assert not any(torch.equal(steps[i], steps[i + 2]) for i in range(0, 6, 2))


def test_keys_tell_trainings_and_cells_apart() -> None:
    """Seed and method give a training another key; noise, draws, selection and BatchNorm a cell, and no training."""
    what = training()
    assert len({each.key for each in (what, training(seed=1), training(SAM()))}) == 3
    cells = [
        Cell(what, NoNoise(), 1, Last()),
        Cell(what, Gaussian(), 1, Last()),
        Cell(what, NoNoise(), 2, Last()),
        Cell(what, NoNoise(), 1, BestEpoch()),
        Cell(what, NoNoise(), 1, Last(), "recalibrated"),
    ]
    assert len({cell.key for cell in cells}) == 5
    assert {cell.training.key for cell in cells} == {what.key}


class Watching(SmallNetwork):
    """A network that tells the data type its last product is computed in."""

    name: Literal["watching"] = "watching"  # type: ignore[assignment]

    seen: ClassVar[set[torch.dtype]] = set()

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> torch.nn.Module:
        model = super().build(num_classes=num_classes, input_shape=input_shape)
        model[-1].register_forward_hook(lambda module, inputs, output: self.seen.add(output.dtype))
        return model


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_products_are_computed_in_the_recipes_precision(precision: Any, dtype: torch.dtype) -> None:
    """Every pass of a training and of an evaluation multiplies in the precision that the recipe names."""
    Watching.seen.clear()
    what = training(RWP(sigma=0.1), epochs=1, precision=precision)
    what = Training(what.dataset, Watching(), what.method, what.recipe, 0)
    list(run(what))
    assert Watching.seen == {dtype}
    Watching.seen.clear()
    splits = what.dataset.load(Path())
    evaluation_network(what, data_of(what)).recalibrated(splits.train).counts(splits.test)
    assert Watching.seen == {dtype}


class Lazy(Method):
    """Trains nothing, in one way or another."""

    name: Literal["lazy"] = "lazy"
    how: str

    def backward(self, step: Step) -> Tensor:
        if self.how == "looks":
            return step.losses().mean().detach()
        if self.how == "zero":
            return step.backward(share=0.0)
        step.state["weight"] = step.weights()["4.weight"].clone()
        loss = step.backward()
        if self.how == "takes":
            step.take_gradient()
        return loss

    def update(self, step: Step) -> None:
        if self.how != "stays":
            super().update(step)

    def evaluation_weights(self, state: State) -> Weights | None:
        given = {"not finite": lambda w: w * float("nan"), "another type": lambda w: w.double()}
        return {"4.weight": given[self.how](state["weight"])} if self.how in given else None


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("looks", "lazy trains nothing"),
        ("zero", "lazy trains nothing"),
        ("takes", "lazy trains nothing"),
        ("stays", "lazy trains nothing"),
        ("not finite", "is not finite in what lazy is to be judged with"),
        ("another type", r"torch\.float64"),
    ],
)
def test_what_is_not_trained_is_not_judged(how: str, message: str) -> None:
    """A method that leaves the network as it was, or gives weights that are none, is told so."""
    with pytest.raises(ValueError, match=message):
        final(training(Lazy(how=how)))


def test_a_learning_rate_of_zero_is_told() -> None:
    """A schedule that is 0 in every step would train nothing."""
    with pytest.raises(ValueError, match="the learning rate is 0 in every step"):
        final(training(lr_schedule=Product(of=(Constant(), OffToOn(until=0.9999)))))


def test_weights_are_written_where_the_network_has_them() -> None:
    """A network whose state dict holds copies is judged at the weights that it was given."""

    class Copying(torch.nn.Linear):
        def state_dict(self, *arguments: Any, **options: Any) -> Any:
            return {name: tensor.half() for name, tensor in super().state_dict(*arguments, **options).items()}

    model = Copying(3, 2)
    given = {"weight": torch.randn(2, 3), "bias": torch.randn(2)}
    copy_into(model, given)
    assert torch.equal(model.weight, given["weight"])


class Accumulating(Method):
    """Hands over the sum of two steps' gradients at every second one, and moves the weights then alone."""

    name: Literal["accumulating"] = "accumulating"
    rampable: ClassVar[bool] = False

    def backward(self, step: Step) -> Tensor:
        loss = step.backward()
        gradient = step.take_gradient()
        if step.clock.step % 2 == 0:
            step.state.update({name.replace("/", "."): each.clone() for name, each in gradient.items()})
        else:
            step.put_gradient({name: step.state[name] + each for name, each in gradient.items()})
        return loss

    def update(self, step: Step) -> None:
        if step.clock.step % 2:
            super().update(step)


def test_a_method_may_leave_updates_out() -> None:
    """Steps without a gradient of their own, the first too, are a method's to make; what counts is that it trains at all."""
    first = {name: p.detach().clone() for name, p in initial_model(training(), data_of(training())).named_parameters()}
    last = final(training(Accumulating()))
    assert any(not torch.equal(first[name], last[name]) for name in first)


class Masked(Backbone):
    """A mask with infinities as attention has them, a filter of five dimensions, and one that is a complex number."""

    name: Literal["masked"] = "masked"

    def build(self, *, num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
        return _Masked(num_classes, input_shape)


class _Masked(nn.Module):
    def __init__(self, classes: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
        self.spatial = nn.Conv3d(1, 2, 3, padding=1)
        self.filter = nn.Parameter(torch.randn(1, 2, 4, 2))
        self.head = nn.Linear(2 * shape[0] * shape[1] * shape[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        gain = torch.view_as_complex(self.filter).abs().mean()
        return self.head(self.spatial(x[:, None]).flatten(1) * self.mask.softmax(0)[0]) * gain


def test_networks_with_parts_of_all_kinds_are_trained() -> None:
    """Infinities that a network was made with are no divergence, and only convolutions of images are laid out anew."""
    what = training()
    what = Training(what.dataset, Masked(), RWP(sigma=0.05), what.recipe, 0)
    *_, last = run(what)
    assert isfinite(last.loss)
    assert last.weights()["mask"].tolist() == [0.0, float("-inf")]
