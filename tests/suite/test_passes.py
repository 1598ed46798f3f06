"""What a few passes show of a network: each kind that would be judged wrongly is refused, and what is right is not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

from nrbench import Layer, Layout, stored_layers
from nrbench.suite.oracle import check_network
from nrbench.suite.trial import made_up_sample

SAMPLE = made_up_sample(3, (1, 4, 4))


def check(build: Callable[[], nn.Module]) -> None:
    """Build a network twice and run it, as `validate` does."""
    check_network(build, stored_layers, SAMPLE)


def standard(weight: Tensor) -> Tensor:
    return (weight - weight.mean()) / weight.std()


class Net(nn.Module):
    """A linear layer and a head; what is in between is for each case to say."""

    def __init__(self) -> None:
        super().__init__()
        self.lin, self.head = nn.Linear(16, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(x.flatten(1)).relu())

    def middle(self, x: Tensor) -> Tensor:
        return self.lin(x)


class StandardInParent(Net):
    def middle(self, x: Tensor) -> Tensor:
        return F.linear(x, standard(self.lin.weight), self.lin.bias)


class StandardInConvolution(nn.Conv2d):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, standard(weight), bias)


class Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = StandardInConvolution(1, 2, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).flatten(1))


class OnInstance(Net):
    def __init__(self) -> None:
        super().__init__()
        self.lin.forward = MethodType(lambda lin, x: F.linear(x, lin.weight.sign(), lin.bias), self.lin)


class MaxNorm(Net):
    def middle(self, x: Tensor) -> Tensor:
        self.lin.weight.data = torch.renorm(self.lin.weight.data, 2, 0, 10.0)
        return self.lin(x)


class MaxNormInPlace(Net):
    def middle(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.lin.weight.copy_(torch.renorm(self.lin.weight, 2, 0, 10.0))
        return self.lin(x)


class PrunedAndAsked(Net):
    def __init__(self) -> None:
        super().__init__()
        prune.l1_unstructured(self.lin, "weight", 0.5)

    def middle(self, x: Tensor) -> Tensor:
        return F.linear(x, self.lin.weight, self.lin.bias)


class Listed(Net):
    def __init__(self) -> None:
        super().__init__()
        self.held = [self.lin.weight]

    def middle(self, x: Tensor) -> Tensor:
        return F.linear(x, self.held[0])


class Partial(Net):
    def __init__(self) -> None:
        super().__init__()
        self.held = partial(F.linear, weight=self.lin.weight)

    def middle(self, x: Tensor) -> Tensor:
        return self.held(x)


class Remembered(Net):
    kept: Tensor | None = None

    def middle(self, x: Tensor) -> Tensor:
        if self.training or self.kept is None:
            self.kept = self.lin.weight.detach() * 1.0
        return F.linear(x, self.kept)


class AlwaysDropout(Net):
    def middle(self, x: Tensor) -> Tensor:
        return F.dropout(self.lin(x))


class Counting(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def middle(self, x: Tensor) -> Tensor:
        self.seen += 1
        return self.lin(x) + self.seen


class Passing(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6), persistent=False)

    def middle(self, x: Tensor) -> Tensor:
        x = self.lin(x)
        if self.training:
            self.mean += 0.1 * x.detach().mean(0)
        return x - self.mean


class BuiltLate(Net):
    def middle(self, x: Tensor) -> Tensor:
        if not hasattr(self, "late"):
            self.late = nn.Linear(6, 6)
        return self.late(self.lin(x))


class Squeezed(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze()


class ExtraState(Net):
    def get_extra_state(self) -> dict[str, int]:
        return {"a": 1}

    def set_extra_state(self, state: object) -> None:
        pass


class TiedToMasked(Net):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(16, 6)
        prune.l1_unstructured(self.lin, "weight", 0.5)
        self.other.weight = self.lin.weight_orig  # type: ignore[assignment]

    def middle(self, x: Tensor) -> Tensor:
        return self.lin(x) + self.other(x)


class SharedMemory(Net):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(16, 6)
        self.other.weight.data = self.lin.weight.data

    def middle(self, x: Tensor) -> Tensor:
        return self.lin(x) + self.other(x)


class Checkpointed(Net):
    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Linear(6, 6)

    def middle(self, x: Tensor) -> Tensor:
        found: Tensor = checkpoint(lambda x: self.more(self.lin(x).tanh()), x, use_reentrant=False)
        return found


class Asking(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, lin: nn.Linear) -> Tensor:
        ctx.save_for_backward(x)
        ctx.lin = lin
        return x @ weight.t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return gradient @ ctx.lin.weight, gradient.t() @ x * ctx.lin.weight.sum(), None


class AsksInBackward(Net):
    def middle(self, x: Tensor) -> Tensor:
        found: Tensor = Asking.apply(x, self.lin.weight, self.lin)  # type: ignore[no-untyped-call]
        return found


class NormalisedByHand(Net):
    """The weight over its largest singular value, as an iteration of one's own finds it: the weight meets a product too."""

    def middle(self, x: Tensor) -> Tensor:
        weight = self.lin.weight
        v = torch.ones(16, device=weight.device)
        for _ in range(3):
            u = F.normalize(weight @ v, dim=0)
            v = F.normalize(weight.t() @ u, dim=0)
        return F.linear(x, weight / (u @ weight @ v), self.lin.bias)


def standardised_product(x: Tensor, weight: Tensor) -> Tensor:
    return torch.nn.functional.linear(x, (weight - weight.mean()) / weight.std())


with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # people's networks have it still
    scripted = torch.jit.script(standardised_product)


class Scripted(Net):
    def middle(self, x: Tensor) -> Tensor:
        found: Tensor = scripted(x, self.lin.weight)
        return found


class Momentum(Net):
    """A slow copy of the weights that a pass in training moves."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.Parameter(torch.zeros(6, 16), requires_grad=False)

    def middle(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.slow.mul_(0.9).add_(self.lin.weight, alpha=0.1)
        return F.linear(x, self.slow)


REFUSED: dict[type[nn.Module] | Callable[[], nn.Module], str] = {
    StandardInParent: "lin .Linear. computes another weight from its own",
    Convolution: "conv .StandardInConvolution. computes another weight",
    OnInstance: "computes another weight",
    MaxNorm: "a pass in evaluation writes to lin.weight",
    MaxNormInPlace: "a pass in evaluation writes to lin.weight",
    PrunedAndAsked: "lin.weight is computed before each pass of lin, which is not passed",
    Listed: "lin.weight is also used by something that holds it outside",
    Partial: "lin.weight is also used by something that holds it outside",
    Remembered: "something remembers what became of it",
    AlwaysDropout: "draws random numbers",
    Counting: "a pass in evaluation writes to seen",
    Passing: "training moves mean, a buffer that is not persistent",
    BuiltLate: "makes or removes late.bias, late.weight",
    Squeezed: "its output is .3,. for 1 images",
    ExtraState: "its state _extra_state is no tensor",
    TiedToMasked: "is stored as it is, and so is another weight that is computed from it",
    Checkpointed: "computed again in the backward pass",
    AsksInBackward: "computed again in the backward pass",
    NormalisedByHand: "lin .Linear. computes another weight from its own",
    Scripted: "lin.weight is used where it cannot be seen how",
    Momentum: "a pass in training writes to the parameter slow",
    SharedMemory: "share memory without being one tensor",
}


@pytest.mark.parametrize("build", REFUSED)
def test_what_would_be_judged_wrongly_is_refused(build: Callable[[], nn.Module]) -> None:
    """Each network that meets other weights than a device would hold, or that a pass changes, is refused with the reason."""
    with pytest.raises(ValueError, match=REFUSED[build]):
        check(build)


class Transposed(Net):
    def middle(self, x: Tensor) -> Tensor:
        return x @ self.lin.weight.t() + self.lin.bias


class Halved(Net):
    """Mixed precision by hand: the same numbers in fewer bits."""

    def middle(self, x: Tensor) -> Tensor:
        return F.linear(x.bfloat16(), self.lin.weight.bfloat16()).float()


class Rows(Net):
    def middle(self, x: Tensor) -> Tensor:
        return torch.func.vmap(self.lin)(x)


class Quiet(Net):
    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)


class Buffered(Net):
    """The same tensor is a parameter of one module and a buffer of another."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("same", self.lin.weight)

    def middle(self, x: Tensor) -> Tensor:
        return F.linear(x, self.same)


class Own(nn.LSTM):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]


class Recurrent(nn.Module):
    def __init__(self, wrap: Callable[[nn.Module], object] = lambda lstm: None) -> None:
        super().__init__()
        self.lstm, self.head = Own(4, 5, batch_first=True), nn.Linear(5, 3)
        wrap(self.lstm)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x.squeeze(1))[:, -1])


class Unused(Net):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(4, 4)


class WithOwnHook(Net):
    """A norm whose hook stands beside one of a person's own that reads its input."""

    def __init__(self) -> None:
        super().__init__()
        prune.l1_unstructured(self.lin, "weight", 0.5)
        self.lin.register_forward_pre_hook(lambda module, arguments: arguments[0].sum() and None)


class Caching(Net):
    """Fills a buffer that is not persistent at its first pass, as positions often are."""

    def middle(self, x: Tensor) -> Tensor:
        if not hasattr(self, "positions"):
            self.register_buffer("positions", torch.arange(6.0), persistent=False)
        return self.lin(x) + self.positions


TAKEN: list[Callable[[], nn.Module]] = [
    Net,
    Transposed,
    Halved,
    Rows,
    Quiet,
    Buffered,
    Recurrent,
    partial(Recurrent, lambda lstm: prune.l1_unstructured(lstm, "weight_hh_l0", 0.5)),
    partial(Recurrent, lambda lstm: parametrizations.weight_norm(lstm, "weight_hh_l0")),
    Unused,
    Caching,
    WithOwnHook,
]


@pytest.mark.parametrize("build", TAKEN)
def test_what_is_right_is_taken(build: Callable[[], nn.Module]) -> None:
    """Layers that use their weights as they are, however they are written or held, pass."""
    check(build)


def test_recurrent_weights_are_stored_whether_they_are_computed_or_not() -> None:
    """A masked, a parametrised and a plain matrix of a recurrent layer are the same layer."""
    plain = Layout.of(Recurrent()).layers
    assert len(plain) == 3
    for wrap in (
        lambda lstm: prune.l1_unstructured(lstm, "weight_hh_l0", 0.5),
        lambda lstm: parametrizations.orthogonal(lstm, "weight_hh_l0"),
    ):
        layout = Layout.of(Recurrent(wrap))
        assert layout.layers == plain
        assert set(layout.computed) == {"lstm.weight_hh_l0"}


def test_what_a_stored_weight_is_computed_from_is_not_stored_too() -> None:
    """Noise on all tensors, or on a module's matrices, reaches a computed weight once, at the end of its computation."""
    from nrbench import LayerChoice, Scale

    model = Net()
    parametrizations.weight_norm(model.lin)
    weights = Layout.of(model).weights_of(model)
    raw = {name for name in weights if name.startswith("lin.parametrizations.")}
    assert len(raw) == 2
    assert not raw & Scale(tensors="all").units(weights).keys()
    assert not raw & LayerChoice(stored=("*",)).of(weights).keys()


def test_a_computed_bias_is_a_bias() -> None:
    """Under `matrix_and_bias` a masked bias has the units of its layer's lines, as a plain one has."""
    from nrbench import Scale

    model = Net()
    prune.l1_unstructured(model.lin, "bias", 0.5)
    weights = Layout.of(model).weights_of(model)
    assert "lin.bias" in Scale(tensors="matrix_and_bias").units(weights)


@pytest.mark.parametrize(
    "layer", [Layer("lin.weight", output=5), Layer("lin.weight", groups=4), Layer("head.weight", bias="lin.bias")]
)
def test_layers_that_do_not_fit_their_weights(layer: Layer) -> None:
    """A backbone that names a dimension, groups or a bias that a weight has not is told so."""
    with pytest.raises(ValueError, match="which does not go with output="):
        Layout.of(Net(), [layer])


def test_a_tied_layer_goes_by_each_of_its_names() -> None:
    """A head that is tied to another module can be left digital by the name of either."""
    from nrbench import LayerChoice

    model = Net()
    model.add_module("again", nn.Linear(16, 6))
    model.again.weight = model.lin.weight  # type: ignore[union-attr, assignment]
    weights = Layout.of(model).weights_of(model)
    for name in ("lin", "again"):
        assert set(LayerChoice(digital=(name,)).of(weights)) == {"head.weight"}
    assert not parametrize.is_parametrized(model)
