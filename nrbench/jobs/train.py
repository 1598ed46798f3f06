"""Training: one network, from its first weights to its last, an epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrbench.base.chance import TrainingChance, derive, seed_torch
from nrbench.base.torch_state import unchanged
from nrbench.families.analog import Layout
from nrbench.families.displacement import Weights, check_displacement
from nrbench.families.executor import Failure
from nrbench.families.loading import copy_into, same, sha256_of, stored_tensors
from nrbench.families.masks import Draws
from nrbench.families.memory_format import lay_out, takes_channels_last
from nrbench.families.method import Method, own_optimizer, reestimates
from nrbench.families.network import calibration_batches, estimated_statistics, norm
from nrbench.families.optimizer import Parameters
from nrbench.families.probe import Observer
from nrbench.families.state import State
from nrbench.families.step import Batch, Clock, Criterion, Step, draws_in_training
from nrbench.jobs.batches import Batches
from nrbench.jobs.data import Data
from nrbench.jobs.device import autocast
from nrbench.jobs.history import is_due
from nrbench.jobs.observe import Watch
from nrbench.suite.cell import Training
from nrbench.suite.given import taken
from nrbench.suite.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a training needs to go on after an epoch as if it had never stopped; there is no generator state."""

    epoch: int
    weights: dict[str, Tensor]
    """Parameters and buffers to be judged: the epoch's own file holds them."""
    tensors: dict[str, Tensor]
    """What the optimizer and the method remember, and parameters and buffers that are judged with other values."""
    scalars: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trained:
    """A network at the end of an epoch; epoch 0 is the network as it was initialised."""

    epoch: int
    loss: float
    """Mean over the epoch's images of the loss that was differentiated; NaN or infinite when the training diverged."""
    passes_per_step: float
    model: nn.Module
    optimizer: torch.optim.Optimizer | None
    """None where there is nothing to train: making one imports torch's compiler, 1.2 s."""
    training: Training
    data: Data
    state: State
    layout: Layout
    finite: frozenset[str]
    """Parameters, and those buffers that were finite at the beginning: a mask may have infinities."""
    observed: Mapping[str, dict[str, float] | Failure] = field(default_factory=dict)
    """What each observer saw of the epoch's steps on average, or why it did not, by its fingerprint."""

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the parameters and buffers to be judged, contiguous and on the CPU, by name."""
        judged = stored_tensors(self.model)
        chosen = self.training.method.evaluation_weights(self.state)
        if chosen is not None:
            check_displacement(judged, {n: t for n, t in chosen.items() if n not in self.layout.computed})
            judged |= {name: tensor for name, tensor in chosen.items() if name not in self.layout.computed}
            judged |= {other: judged[first] for other, first in self.layout.aliases.items() if other in judged}
            if reestimates(self.training.method):
                weights, parts = dict(judged), calibration_batches(self.data.calibration)
                cast, batches = autocast(self.training.recipe, self.data.device), map(self.data.normalise, parts)
                judged |= estimated_statistics(self.model, lambda read: weights, batches, cast, self.layout)
        copies = {name: _copy(tensor) for name, tensor in judged.items()}
        if wrong := [name for name in copies.keys() & self.finite if not copies[name].isfinite().all()]:
            raise ValueError(f"{wrong[0]} is not finite in what {self.training.method.name} is to be judged with")
        return copies

    @property
    def state_models(self) -> float:
        """What optimizer and method remember between steps, in sizes of the model's parameters."""
        slots = [slot for own in self.optimizer.state.values() for slot in own.values()] if self.optimizer else []
        kept = [each for each in (*slots, *self.state.everything().values()) if isinstance(each, Tensor)]
        return sum(each.nbytes for each in kept) / max(sum(p.nbytes for p in self.model.parameters()), 1)

    def checkpoint(self, weights: dict[str, Tensor]) -> Checkpoint:
        """Return a copy of everything the rest of the training depends on; `weights` are those to be judged."""
        values: dict[str, Any] = {
            f"model/{name}": tensor
            for name, tensor in stored_tensors(self.model).items()
            if not torch.equal(tensor.cpu(), weights[name])
        }
        for index, parameter in enumerate(self.model.parameters()):
            slots = self.optimizer.state.get(parameter, {}) if self.optimizer else {}
            values |= {f"optimizer/{index}/{slot}": value for slot, value in slots.items()}
        remembered = self.state.everything()
        values |= {f"method/{name}": value for name, value in remembered.items()}
        values |= {f"channels_last/{name}": True for name, value in remembered.items() if _is_channels_last(value)}
        tensors = {name: _copy(value) for name, value in values.items() if isinstance(value, Tensor)}
        scalars = {name: value for name, value in values.items() if name not in tensors}
        return Checkpoint(self.epoch, weights, tensors, scalars)


def train(
    training: Training,
    data: Data,
    *,
    checkpoint: Checkpoint | None = None,
    observers: Sequence[Observer] = (),
    start: str | None = None,
) -> Iterator[Trained]:
    """Yield the network after every epoch that is left; the same object each time, so copy what should last.

    `observers` see the steps of the epochs that they are due in, and change nothing. `start` is the hash of the first weights
    in another build of the network. Torch's default generator is used up. Raise `ValueError` for a training that would
    leave the network as it was, and for other first weights.
    """
    method, model = training.method, initial_model(training, data)
    data = data.for_network(model)
    layout = Layout.of(model, training.backbone.stored(model))
    if start not in (None, sha256_of(model)):
        raise ValueError(
            "built twice under one seed, the network has other first weights: they depend on something else"
        )
    if not training.epochs:
        given = method.given_weights(training.seed)
        if given is not None:
            copy_into(model, taken(given, model, note=print))
        yield Trained(0, 0.0, 0.0, model, None, training, data, State(), layout, frozenset())
        return

    optimizer = (own_optimizer(method) or training.recipe.optimizer).build(Parameters(model))
    state = _restored(checkpoint, model, optimizer)
    loop = _Loop(training, data, model, layout, optimizer, state)
    if not any(map(training.recipe.lr_schedule, (number / loop.total for number in range(loop.total)))):
        raise ValueError("the learning rate is 0 in every step, so that nothing would be trained")
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    finite = frozenset(n for n, t in stored_tensors(model).items() if n in parameters or t.isfinite().all())
    before = None if checkpoint else {name: p.detach().clone() for name, p in model.named_parameters()}
    for epoch in range(checkpoint.epoch + 1 if checkpoint else 1, training.epochs + 1):
        watch = Watch([observer for observer in observers if is_due(observer, epoch, training.epochs)])
        loss, passes = loop.epoch(epoch, watch)
        if epoch == training.epochs and before and (loop.idle or same(_judged(model, method, state), before)):
            raise ValueError(f"{method.name} trains nothing: no gradient was found, or no weight has moved")
        whole = torch.stack(
            [tensor.isfinite().all() for n, tensor in stored_tensors(model).items() if n in finite]
        ).all()
        mean = loss.where(whole, float("nan")).item() / len(data.train)  # the last step is in no loss
        yield Trained(epoch, mean, passes, model, optimizer, training, data, state, layout, finite, watch.means())


def _judged(model: nn.Module, method: Method, state: State) -> Weights:
    """Return the parameters that a network is judged by."""
    instead = method.evaluation_weights(state) or {}
    return {name: instead.get(name, p) for name, p in model.named_parameters()}


class _Loop:
    """The steps of a training."""

    def __init__(
        self,
        training: Training,
        data: Data,
        model: nn.Module,
        layout: Layout,
        optimizer: torch.optim.Optimizer,
        state: State,
    ) -> None:
        recipe = training.recipe
        self._training, self._data, self._model = training, data, model
        self._batches = Batches(data.train, data.normalise, recipe, training.seed)
        self._strides = {name: (p.shape, p.stride()) for name, p in model.named_parameters() if _is_dense(p)}
        self._step = partial(
            Step,
            model=model,
            criterion=criterion(recipe),
            state=state,
            optimizer=optimizer,
            bn_statistics=recipe.bn_statistics,
            autocast=autocast(recipe, data.device),
            layout=layout,
            draws=self._drawn,
            micro_batch=recipe.micro_batch,
            fewest=2 if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()) else 1,
        )
        self.total = training.epochs * len(self._batches)
        self._draws: Draws | None = None
        self.idle = True
        """Whether no gradient was found yet that is not 0."""

    def _drawn(self, step: Step) -> Draws:
        if self._draws is None:
            self._draws = draws_in_training(step)
        return self._draws

    def epoch(self, epoch: int, watch: Watch) -> tuple[Tensor, float]:
        """Make the steps of epoch 1, 2, …; return the sum of the losses of all images and the passes of each step."""
        self._model.train()
        loss = torch.zeros((), device=self._data.device)
        passes = 0.0
        for number, batch in enumerate(self._batches.epoch(epoch), start=(epoch - 1) * len(self._batches)):
            step = self._new_step(number, batch, watched=watch.sees)
            step_loss, gradient = _made(step, self._training.method, self._training.recipe, watch, look=self.idle)
            self.idle &= not gradient
            loss += step_loss * len(batch.labels)
            passes += step.passes
        self._model.eval()
        return loss, passes / len(self._batches)

    def _new_step(self, number: int, batch: Batch, *, watched: bool) -> Step:
        recipe, seed = self._training.recipe, self._training.seed
        mover = own_optimizer(self._training.method) or recipe.optimizer
        factor = recipe.lr_schedule(number / self.total)
        return self._step(
            images=batch.images,
            labels=batch.labels,
            chance=TrainingChance(seed, number, self._strides, device=self._data.device),
            clock=Clock(number, len(self._batches), self.total, mover.lr * factor, len(self._data.train), factor),
            dropout_seed=derive("dropout", seed, number) & 0xFFFF_FFFF,
            watched=watched,
            further=partial(self._batches.further, number),
        )


def _made(
    step: Step, method: Method, recipe: Recipe, watch: Callable[[Step, Tensor], None], *, look: bool
) -> tuple[Tensor, bool]:
    """Make a step, from its learning rate to its update; return the loss that was differentiated.

    Whoever has to `watch` sees it with its gradient found. Where somebody has to `look`, return too whether there was a
    gradient that is not 0.
    """
    for group in step.optimizer.param_groups:
        group["lr"] = step.clock.lr
    loss = method.backward(step)
    gradient = look and norm(p.grad for p in step.model.parameters() if p.grad is not None) > 0
    step.finish()
    watch(step, loss)
    if recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(step.model.parameters(), recipe.clip_norm)
    method.update(step)
    step.optimizer.zero_grad(set_to_none=True)
    return loss, gradient


def criterion(recipe: Recipe) -> Criterion:
    """Return the loss that a recipe trains with."""
    return partial(cross_entropy, label_smoothing=recipe.label_smoothing)


def initial_model(training: Training, data: Data) -> nn.Module:
    """Return the network of a training at epoch 0: its weights depend on backbone and seed alone."""
    seed_torch(derive("initial weights", training.seed) & 0xFFFF_FFFF, data.device)
    channels, height, width = data.train.images.shape[1:]
    with unchanged(training.backbone.name, generators=False):
        built = training.backbone.build(num_classes=data.num_classes, input_shape=(channels, height, width))
    built.eval()
    model = built.to(device=data.device)
    if training.recipe.channels_last and takes_channels_last(model):
        lay_out(model, torch.channels_last)
    if training.recipe.compile:
        model.compile()  # in place: the names of parameters stay, and displaced weights are inputs of the same graph
    return model


def _restored(checkpoint: Checkpoint | None, model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """Bring model and optimizer to where a checkpoint was taken and return the method's state there."""
    remembered: dict[str, Any] = {}
    state = State(remembered)
    if checkpoint is None:
        return state
    values = checkpoint.tensors | checkpoint.scalars
    moved = {name.removeprefix("model/"): value for name, value in values.items() if name.startswith("model/")}
    copy_into(model, checkpoint.weights | moved)
    parameters = list(model.parameters())
    for name, value in values.items():
        kind, _, rest = name.partition("/")
        if kind == "method":
            if values.get(f"channels_last/{rest}"):
                value = value.contiguous(
                    memory_format=torch.channels_last
                )  # sums over it go in the order of its layout
            remembered[rest] = value.to(parameters[0].device) if isinstance(value, Tensor) else value
        elif kind == "optimizer":
            index, _, slot = rest.partition("/")
            parameter = parameters[int(index)]
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                value = torch.empty_like(parameter, requires_grad=False).copy_(value)  # in the weight's own layout
            optimizer.state[parameter][slot] = value
    return state


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _is_channels_last(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and not value.is_contiguous()
        and value.is_contiguous(memory_format=torch.channels_last)
    )


def _is_dense(parameter: Tensor) -> bool:
    return parameter.is_contiguous() or parameter.is_contiguous(memory_format=torch.channels_last)
