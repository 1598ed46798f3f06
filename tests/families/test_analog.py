from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from nrbench import Layer, LayerChoice, Layout, NetworkWeights, Scale, forward_at
from nrbench.families.analog import inventory
from nrbench.families.network import Network
from nrbench.testing.samples import layer_weights, simulated_chip, training_chance
from nrbench_noise import Gaussian

LARGE = Gaussian(sigma=0.3)


class Tokens(nn.Module):
    """A token, positions in a parameter and in a table, a scale and a projection: only the last is a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 4)), nn.Parameter(torch.randn(1, 3, 4))
        self.table, self.gamma = nn.Embedding(3, 4), nn.Parameter(torch.randn(4, 1, 1))
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(len(x), 2, 4)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions + self.table.weight
        return self.head(self.norm(x * self.gamma.view(-1))).mean(1)


class Attention(nn.Module):
    def __init__(self, **options: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(len(x), 2, 4)
        other = x[..., : self.attention.kdim or 4]
        return self.attention(x, other, other)[0].mean(1)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x.view(len(x), 2, 4))[0][:, -1])


class Tied(nn.Module):
    """A table of embeddings tied to the head, and one module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(5, 8), nn.Linear(8, 5, bias=False)
        self.first = self.second = nn.Linear(8, 8)
        self.table.weight = self.head.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(torch.tanh(self.first(x))) + self.table.weight[0])


def convolutional(**options: int) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (2, 2, 2)),
        nn.ConvTranspose2d(2, 4, 3, **options),
        nn.ReLU(),
        nn.Conv2d(4, 2, 3, groups=2),
        nn.Flatten(),
        nn.LazyLinear(2),
    )


def linear(wrapped: Callable[[nn.Module], nn.Module]) -> nn.Module:
    return nn.Sequential(wrapped(nn.Linear(8, 6)), nn.Tanh(), nn.Linear(6, 3))


X = torch.randn(7, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def networks() -> dict[str, Callable[[], nn.Module]]:
    return {
        "tokens": Tokens,
        "attention": Attention,
        "attention, other keys": lambda: Attention(kdim=2, vdim=2),
        "recurrent": Recurrent,
        "tied": Tied,
        "transposed": convolutional,
        "transposed in groups": lambda: convolutional(groups=2),
        "weight norm": lambda: linear(parametrizations.weight_norm),
        "spectral norm": lambda: linear(parametrizations.spectral_norm),
        "orthogonal": lambda: linear(parametrizations.orthogonal),
        "two parametrizations": lambda: linear(
            lambda m: parametrizations.spectral_norm(parametrizations.weight_norm(m))
        ),
        "old weight norm": lambda: linear(weight_norm),
        "old spectral norm": lambda: linear(spectral_norm),
        "pruned": lambda: linear(lambda m: prune.l1_unstructured(m, "weight", 0.5)),
        "pruned twice": lambda: linear(
            lambda m: prune.random_unstructured(prune.l1_unstructured(m, "weight", 0.5), "bias", 0.3)
        ),
    }


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = networks()[name]()
    with torch.no_grad():
        model(X)  # lazy modules, and hooks that compute
    return model.eval()


def folded(model: nn.Module) -> nn.Module:
    """The network with plain weights in the place of computed ones."""
    for module in [*model.modules()]:
        if parametrize.is_parametrized(module):
            for name in [*module.parametrizations]:  # type: ignore[misc]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
        for key, hook in [*module._forward_pre_hooks.items()]:
            name = getattr(hook, "name", getattr(hook, "_tensor_name", ""))
            if name:
                hook(module, ())
                value = getattr(module, name).detach().clone()
                del module._forward_pre_hooks[key]
                delattr(module, name)
                setattr(module, name, nn.Parameter(value))
    return model


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", networks())
def test_a_displaced_pass_is_that_of_a_plain_copy_with_the_noise_added(name: str) -> None:
    """In evaluation and in a training pass, bit for bit, whatever is tied or computed; the network stays as it was."""
    model = built(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    plain = folded(built(name))
    layout = Layout.of(model)
    weights = layout.weights_of(model)
    delta = LARGE.displacement(weights, chance=simulated_chip())
    assert delta
    assert not any(torch.equal(d, torch.zeros_like(d)) for d in delta.values())
    close = {"rtol": 0.0, "atol": 1e-6 if "attention" in name else 0.0}  # small products round by where memory lies
    with torch.no_grad():
        own = dict(plain.named_parameters(remove_duplicate=False))
        for key, d in delta.items():
            own[key].add_(d)
        expected = plain(X)
        assert not torch.equal(expected, model(X))
        assert torch.allclose(forward_at(model, delta, X, layout=layout), expected, **close)
        network = Network(model, lambda x: x, lambda *a, **k: a[0], 7)  # type: ignore[arg-type,return-value]
        displaced = network.at(delta)
        assert torch.allclose(layout.call(model, displaced._states(0), X), expected, **close)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.state_dict().keys() == before.keys()
    with torch.no_grad():
        assert torch.equal(model(X), folded(built(name))(X))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", ["weight norm", "old weight norm", "spectral norm", "old spectral norm", "pruned"])
def test_gradients_pass_through_a_displaced_computation(name: str) -> None:
    """The gradient at a displaced computed weight is that of the same sum written by hand into the layer's product."""
    model = built(name).train()
    layout = Layout.of(model)
    delta = {"0.weight": 0.1 * torch.randn(6, 8)}
    state = copy.deepcopy(model.state_dict())
    forward_at(model, delta, X, layout=layout).sum().backward()
    found = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.load_state_dict(state)
    model(X)  # computes the weight, and in training moves what it needs for that once
    model.load_state_dict(state)
    first, _, last = model
    hidden = first(X) + X @ delta["0.weight"].T
    last(torch.tanh(hidden)).sum().backward()
    assert found.keys() == {key for key, p in model.named_parameters() if p.grad is not None}
    for key, p in model.named_parameters():
        assert p.grad is None or torch.allclose(p.grad, found[key], atol=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", ["spectral norm", "old spectral norm", "weight norm"])
def test_asking_for_a_computed_weight_changes_nothing(name: str) -> None:
    """The value is what evaluation uses, also in the middle of training; no power iteration is made and no mode changed."""
    model = built(name)
    expected = folded(built(name)).state_dict()["0.weight"]
    model.train()
    before = copy.deepcopy(model.state_dict())
    assert torch.equal(Layout.of(model).weights_of(model)["0.weight"], expected)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


STORED = {
    "tokens": {"head.weight": "linear"},
    "attention": {"attention.in_proj_weight": "attention", "attention.out_proj.weight": "linear"},
    "attention, other keys": {
        "attention.q_proj_weight": "attention",
        "attention.k_proj_weight": "attention",
        "attention.v_proj_weight": "attention",
        "attention.out_proj.weight": "linear",
    },
    "recurrent": {"cell.weight_ih_l0": "recurrent", "cell.weight_hh_l0": "recurrent", "head.weight": "linear"},
    "tied": {"table.weight": "linear", "first.weight": "linear"},
    "transposed": {"1.weight": "transposed convolution", "3.weight": "convolution", "5.weight": "linear"},
}


@pytest.mark.parametrize("name", STORED)
def test_what_is_stored_is_said_by_the_layer(name: str) -> None:
    """Matrix products are stored, each tensor once; tokens, positions, tables, scales and norms are not."""
    model = built(name)
    layout = Layout.of(model)
    assert {key: layer.kind for key, layer in layout.layers.items()} == STORED[name]
    model.requires_grad_(requires_grad=False)
    assert Layout.of(model).layers == layout.layers  # whether it is trained says nothing
    counted = inventory(layout.weights_of(model))
    assert sum(tensors for tensors, _ in counted.values()) == len([*model.parameters()])
    assert sum(numbers for _, numbers in counted.values()) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("groups", [1, 2])
def test_the_filters_of_a_transposed_convolution(groups: int) -> None:
    """An output unit's filter is all that feeds it: found by setting every input channel to one and a kernel of one."""
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(4, 6, 3, groups=groups)
    weights = Layout.of(layer).weights_of(layer)
    unit = Scale(tensors="matrix_and_bias").units(weights)
    fed = nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False)
    for output in range(6):
        fed.weight.grad = None
        fed(torch.ones(1, 4, 5, 5))[0, output].sum().backward()
        mask = fed.weight.grad != 0  # type: ignore[operator]
        largest = layer.weight[mask].abs().max()
        assert torch.equal(unit["weight"].expand_as(layer.weight)[mask], largest.expand(int(mask.sum())))
        assert unit["bias"][output] == largest


def test_biases_of_attention_share_the_lines_of_its_projections() -> None:
    """The bias of three separate projections has their units one after the other, as that of a joint one has its rows'."""
    for options in ({}, {"kdim": 2, "vdim": 2}):
        model = Attention(**options)
        weights = Layout.of(model).weights_of(model)
        unit = Scale(tensors="matrix_and_bias").units(weights)
        names = ["in_proj_weight"] if not options else ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
        rows = torch.cat([weights[f"attention.{name}"].abs().amax(1) for name in names])
        assert torch.equal(unit["attention.in_proj_bias"], rows)


def test_layers_by_name() -> None:
    """Layers named in a suite are left digital, modules named there are added; a pattern that fits nothing is an error."""
    model = Tokens()
    weights = Layout.of(model).weights_of(model)
    chosen = LayerChoice(digital=("head",), stored=("table",))
    assert set(Scale(layers=chosen).units(weights)) == {"table.weight"}
    with pytest.raises(ValueError, match=r"no layer is called 'haed'.*did you mean 'head'"):
        Scale(layers=LayerChoice(digital=("haed",))).units(weights)
    assert Scale(layers=LayerChoice()).fingerprint == Scale().fingerprint


def test_a_plain_mapping_is_refused() -> None:
    """Of names and tensors alone nobody knows what is stored; what a model inside a model passes on is known."""
    weights = layer_weights({"a.weight": torch.ones(2, 3), "b.weight": torch.ones(2, 3)})
    with pytest.raises(TypeError, match="plain mapping"):
        Scale().units(dict(weights))
    assert set(Scale().units(weights.only(["a.weight"]))) == {"a.weight"}
    assert Scale().units(weights.replaced({"b.weight": torch.full((2, 3), 5.0)}))["b.weight"].max() == 5
    assert isinstance(weights.only([]), NetworkWeights)


def test_memory_that_is_shared_without_being_one_tensor_is_refused() -> None:
    """Two parameters over one storage cannot be displaced alike; parts of one storage that do not overlap can."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = nn.Parameter(model[0].weight.detach().t())
    with pytest.raises(ValueError, match=r"0\.weight and 1\.weight share memory"):
        Layout.of(model)
    whole = torch.randn(8, 4)
    model[0].weight, model[1].weight = nn.Parameter(whole[:4]), nn.Parameter(whole[4:])
    assert len(Layout.of(model).layers) == 2
    model[0].register_buffer("copy", whole[:1])
    with pytest.raises(ValueError, match="share memory"):
        Layout.of(model)


def test_a_backbone_says_what_is_stored() -> None:
    """A layer that a backbone names is taken under its own dimension; one that is not there is an error."""
    model = Tokens()
    layout = Layout.of(model, [Layer("table.weight", "table", output=1)])
    unit = Scale().units(layout.weights_of(model))["table.weight"]
    assert torch.equal(unit, model.table.weight.detach().abs().amax(0, keepdim=True))
    with pytest.raises(ValueError, match=r"tabel\.weight is stored, which is no weight"):
        Layout.of(model, [Layer("tabel.weight")])


def test_training_noise_reaches_frozen_layers() -> None:
    """A layer that is not trained is stored all the same, and displaced in a training step."""
    model = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 3))
    model[0].requires_grad_(requires_grad=False)
    weights = Layout.of(model).weights_of(model)
    assert set(LARGE.displacement(weights, chance=training_chance(weights))) == {"0.weight", "1.weight"}


BLOCKS = [
    "conv",
    "grouped",
    "transposed",
    "grouped transposed",
    "norm",
    "twice",
    "weight norm",
    "pruned",
    "nested",
    "frozen",
]


class Repeated(nn.Module):
    """One module applied several times."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.first = self.again = module

    def forward(self, x: Tensor) -> Tensor:
        return self.again(torch.tanh(self.first(x)))


def block(kind: str) -> nn.Module:
    """A block from 4 channels of 5×5 to as many."""
    convolution = nn.Conv2d(4, 4, 3, padding=1)
    made: dict[str, Callable[[], nn.Module]] = {
        "conv": lambda: convolution,
        "grouped": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False),
        "transposed": lambda: nn.ConvTranspose2d(4, 4, 3, padding=1),
        "grouped transposed": lambda: nn.ConvTranspose2d(4, 4, 3, padding=1, groups=2),
        "norm": lambda: nn.Sequential(convolution, nn.BatchNorm2d(4)),
        "twice": lambda: Repeated(convolution),
        "weight norm": lambda: parametrizations.weight_norm(convolution),
        "pruned": lambda: prune.l1_unstructured(convolution, "weight", 0.4),
        "nested": lambda: nn.ModuleDict({"inner": nn.Sequential(convolution)})["inner"],
        "frozen": lambda: convolution.requires_grad_(requires_grad=False),
    }
    return made[kind]()


def stacked(kinds: list[str], *, tied: bool) -> nn.Module:
    torch.manual_seed(0)
    layers = [block(kind) for kind in kinds]
    if tied:
        shared = nn.Conv2d(4, 4, 3, padding=1)
        other = nn.Conv2d(4, 4, 3, padding=1)
        other.weight = shared.weight
        layers = [shared, *layers, other]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(100, 3))
    with torch.no_grad():
        model.eval()(torch.zeros(1, 4, 5, 5))
    return model


@given(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=5), st.booleans(), st.integers(0, 10))
@settings(max_examples=60, deadline=None)
def test_any_stack_of_layers_is_displaced_as_by_hand(kinds: list[str], tied: bool, draw: int) -> None:
    """Whatever is shared, tied, computed, grouped, nested or frozen: the pass is that of a copy with the noise added."""
    model, plain = stacked(kinds, tied=tied), folded(stacked(kinds, tied=tied))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(draw))
    weights = Layout.of(model).weights_of(model)
    delta = Gaussian(sigma=0.1, scale=Scale(tensors="matrix_and_bias")).displacement(
        weights, chance=simulated_chip(draw)
    )
    with torch.no_grad():
        own = dict(plain.named_parameters(remove_duplicate=False))
        for name, d in delta.items():
            own[name].add_(d)
        assert torch.allclose(forward_at(model, delta, x), plain(x), rtol=0, atol=1e-5)
    assert len(delta) >= len(kinds) + 1
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
