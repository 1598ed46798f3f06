"""Analog and digital: which weights of a network lie on the device, as the layers say that multiply with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from math import prod

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from nrbench.base.component import Frozen
from nrbench.base.errors import did_you_mean
from nrbench.families.computed import Computed, changed, ends_of
from nrbench.families.displacement import Weights, check_displacement, moved
from nrbench.families.sharing import aliases, check_memory, other_holders


@dataclass(frozen=True, slots=True)
class Layer:
    """A weight that lies on the device: a matrix whose products with activations are what the hardware computes."""

    name: str
    """The weight's name among the parameters."""
    kind: str = "linear"
    output: int = 0
    """The dimension of the output units. All weights that feed one of them are a filter."""
    groups: int = 1
    """Of a transposed convolution, whose output units are counted within each group of its first dimension."""
    bias: str = ""
    """The vector on the same output lines; layers that name the same one follow each other in it."""

    @property
    def module(self) -> str:
        """The name of the module that holds it."""
        return self.name.rpartition(".")[0]

    def largest(self, weight: Tensor) -> Tensor:
        """Return the largest magnitude in each filter: (output units,)."""
        if self.groups > 1:
            weight = weight.view(self.groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
        dims = tuple(dim for dim in range(weight.ndim) if dim != (0 if self.groups > 1 else self.output))
        # two reductions instead of abs().amax(), which writes a copy of the weights: 0.67 against 1.04 ms for 2.4 M
        return torch.maximum(weight.amax(dims), -weight.amin(dims))

    def over(self, lines: Tensor, weight: Tensor) -> Tensor:
        """Return one value for each output unit in a shape that broadcasts against the weight."""
        if self.groups > 1:
            inputs = weight.shape[0] // self.groups
            grouped = lines.view(self.groups, 1, -1).expand(-1, inputs, -1).reshape(weight.shape[0], -1)
            return grouped.view(*grouped.shape, *(1,) * (weight.ndim - 2))
        shape = [1] * weight.ndim
        shape[self.output] = -1
        return lines.view(shape)


@dataclass(frozen=True)
class Layout:
    """How the weights of a network lie: those of its layers on the device, everything else is digital."""

    layers: Mapping[str, Layer]
    """By the name of the weight."""
    computed: Mapping[str, Computed] = field(default_factory=dict)
    """Weights that are computed from parameters in each pass, such as those under a norm or a mask."""
    ties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where else a parameter or buffer is held, in another module or under another attribute, by each of its names."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The first name of each tensor, by the other names that it has."""
    raw: frozenset[str] = frozenset()
    """Parameters that stored weights are computed from: what is computed lies on the device, and they do not."""
    norms: frozenset[str] = frozenset()
    """Parameters of normalisations, whatever their number of dimensions: factors and offsets, and no matrices."""

    @classmethod
    def of(cls, model: nn.Module, layers: Iterable[Layer] | None = None) -> Layout:
        """Return the layout of a network; its layers are found by the types of its modules unless they are given.

        Raise `ValueError` when two of its tensors share memory without being one tensor, when a layer is none of its
        weights or has not the dimensions that it says, or when a parameter is stored both as it is and as another
        weight that is computed from it.
        """
        check_memory(model)
        computed = ends_of(model)
        first = {id(p): name for name, p in model.named_parameters()}
        names = {name: first[id(p)] for name, p in model.named_parameters(remove_duplicate=False)}
        names |= {name: name for name in computed}
        found: dict[str, Layer] = {}
        for layer in stored_layers(model) if layers is None else layers:
            if layer.name not in names:
                raise ValueError(f"the backbone says that {layer.name} is stored, which is no weight of the network")
            name = names[layer.name]
            found.setdefault(name, Layer(name, layer.kind, layer.output, layer.groups, names.get(layer.bias, "")))
        stored = found.keys() | {layer.bias for layer in found.values()}
        ends = {name: end for name, end in computed.items() if name in stored}
        raw = frozenset(names[part] for end in ends.values() for part in end.parameters_of(model))
        if both := sorted(raw & found.keys()):
            raise ValueError(
                f"{both[0]} is stored as it is, and so is another weight that is computed from it: give each a parameter of "
                "its own"
            )
        norms = norm_parameters(model) - found.keys()
        layout = cls(found, ends, other_holders(model), aliases(model), raw, norms)
        layout._check(layout.weights_of(model))
        return layout

    def weights_of(self, model: nn.Module) -> NetworkWeights:
        """Return all weights of a network at this moment, trained or not, without their graph; whole numbers are none."""
        numbers = ((name, p) for name, p in model.named_parameters() if p.is_floating_point() or p.is_complex())
        tensors = {name: p.detach() for name, p in numbers}
        return NetworkWeights(tensors | {name: end.value(model) for name, end in self.computed.items()}, self)

    def _check(self, weights: Weights) -> None:
        for layer in self.layers.values():
            if not (layer.name in weights and weights[layer.name].is_floating_point()):
                raise ValueError(f"the weight {layer.name} is not of real numbers, which are what a device stores")
            shape = weights[layer.name].shape
            fits = 0 <= layer.output < len(shape) and layer.groups >= 1 and shape[0] % layer.groups == 0
            lines = shape[layer.output] * (layer.groups if layer.output else 1) if fits else 0
            shared = [other for other in self.layers.values() if other.bias == layer.bias]
            if not fits or (
                len(shared) == 1 and layer.bias in weights and tuple(weights[layer.bias].shape) != (lines,)
            ):
                raise ValueError(
                    f"the layer {layer.name} is {tuple(shape)}, which does not go with output={layer.output}, "
                    f"groups={layer.groups} and bias={layer.bias!r}"
                )

    def called(self, layer: Layer) -> set[str]:
        """Return the names of all modules that hold a layer: a tied one has several."""
        others = {name for name, first in self.aliases.items() if first == layer.name}
        return {name.rpartition(".")[0] for name in (layer.name, *others)}

    def call(self, model: nn.Module, state: Weights, x: Tensor) -> Tensor:
        """Return the output of a network with other parameters, buffers and computed weights, which it does not keep."""
        ends = {name: partial(_instead, other=state[name]) for name in self.computed if name in state}
        own = {name: tensor for name, tensor in state.items() if name not in ends} if ends else dict(state)
        return self._passed(model, own, x, ends)

    def _passed(
        self, model: nn.Module, state: dict[str, Tensor], x: Tensor, ends: Mapping[str, Callable[[Tensor], Tensor]]
    ) -> Tensor:
        if self.aliases:
            state = {name: tensor for name, tensor in state.items() if name not in self.aliases}
            for name in self.ties.keys() & state.keys():
                state |= dict.fromkeys(self.ties[name], state[name])
        with changed(self.computed, ends):
            # torch's own way with ties leaves the network displaced where a module has two names
            output: Tensor = functional_call(model, state, (x,), tie_weights=False) if state else model(x)
        return output


def forward_at(
    model: nn.Module,
    delta: Weights,
    x: Tensor,
    *,
    scale: float = 1.0,
    frozen_buffers: bool = False,
    layout: Layout | None = None,
) -> Tensor:
    """Return the model's output at w + scale · δ; with frozen buffers, a pass in training mode updates copies of them.

    Every holder of a tensor meets the same displacement, and a weight that is computed in the pass is displaced where its
    computation ends.
    """
    layout = layout or Layout.of(model)
    copies = {name: buffer.clone() for name, buffer in model.named_buffers()} if frozen_buffers else {}
    own = {name: tensor for name, tensor in delta.items() if name not in layout.computed}
    state = {**moved(dict(model.named_parameters()), own, scale=scale), **copies}
    ends = {name: partial(_sum, delta=delta[name], scale=scale) for name in delta.keys() - own.keys()}
    return layout._passed(model, state, x, ends)


def _sum(weight: Tensor, *, delta: Tensor, scale: float) -> Tensor:
    check_displacement({"a computed weight": weight}, {"a computed weight": delta})
    return torch.add(weight, delta, alpha=scale)


def _instead(weight: Tensor, *, other: Tensor) -> Tensor:
    return other


class NetworkWeights(Mapping[str, Tensor]):
    """The weights of a network by name, which know how they lie. A device holds some of them: see `Scale`."""

    __slots__ = ("_tensors", "layout")

    def __init__(self, tensors: Weights, layout: Layout) -> None:
        self._tensors, self.layout = tensors, layout

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def replaced(self, tensors: Weights) -> NetworkWeights:
        """Return the same with other values for some names: what a second error meets that comes after a first one."""
        return NetworkWeights({**self._tensors, **tensors}, self.layout)

    def only(self, names: Iterable[str]) -> NetworkWeights:
        """Return those of some names alone."""
        return NetworkWeights({name: self._tensors[name] for name in names}, self.layout)


class LayerChoice(Frozen):
    """Which layers lie on the device, where that is not for their types to say. Patterns are globs of module names."""

    digital: tuple[str, ...] = ()
    """Layers that are left digital, such as `head` or `blocks.0.*`."""
    stored: tuple[str, ...] = ()
    """Modules whose matrices are stored too, whatever their type; their first dimension are the output units."""

    def of(self, weights: NetworkWeights) -> Mapping[str, Layer]:
        """Return the layers that are stored. Raise `ValueError` for a pattern that fits no module with such weights."""
        layout, layers = weights.layout, weights.layout.layers
        if not (self.digital or self.stored):
            return {name: layer for name, layer in layers.items() if name in weights}
        others = layout.raw | layout.norms
        plain = (name for name, weight in weights.items() if weight.ndim > 1 and name not in others)
        matrices = {name: Layer(name, "named") for name in plain}
        left = self._fitting(self.digital, layers, layout)
        added = self._fitting(self.stored, {**matrices, **layers}, layout)
        both = {name: layer for name, layer in {**layers, **added}.items() if name not in left or name in added}
        return {name: both[name] for name in weights if name in both}

    @staticmethod
    def _fitting(patterns: Iterable[str], layers: Mapping[str, Layer], layout: Layout) -> dict[str, Layer]:
        found: dict[str, Layer] = {}
        for pattern in patterns:
            fits = {
                n: layer for n, layer in layers.items() if any(fnmatchcase(m, pattern) for m in layout.called(layer))
            }
            if not fits:
                known = sorted(name for layer in layers.values() for name in layout.called(layer))
                hint = did_you_mean(pattern, known) or f"there are {', '.join(known[:5])}" + " …" * (len(known) > 5)
                raise ValueError(f"scale.layers: no layer is called {pattern!r}; {hint}")
            found |= fits
        return found


def stored_layers(model: nn.Module) -> Iterator[Layer]:
    """Yield the layers of a network by the types of its modules.

    Convolutions, linear and bilinear layers, recurrent ones and the projections of attention are stored. A table of
    embeddings is where a linear layer is tied to it. Tokens, positions, scales and norms are not.
    """
    for path, module in model.named_modules():
        at = f"{path}." if path else ""
        if isinstance(module, _ConvNd) and module.transposed:
            yield Layer(f"{at}weight", "transposed convolution", output=1, groups=module.groups, bias=f"{at}bias")
        elif isinstance(module, _ConvNd):
            yield Layer(f"{at}weight", "convolution", bias=f"{at}bias")
        elif isinstance(module, nn.Linear | nn.Bilinear):
            yield Layer(f"{at}weight", "linear", bias=f"{at}bias")
        elif isinstance(module, nn.MultiheadAttention):
            whole = module.in_proj_weight is not None
            for name in ("in_proj_weight",) if whole else ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                yield Layer(f"{at}{name}", "attention", bias=f"{at}in_proj_bias")
        elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
            cell = [name for name in ("weight_ih", "weight_hh") if hasattr(module, name)]
            names = cell if isinstance(module, nn.RNNCellBase) else module._flat_weights_names
            for name in (name for name in names if name.startswith("weight")):
                yield Layer(f"{at}{name}", "recurrent", bias=f"{at}{name.replace('weight', 'bias')}")


def norm_parameters(model: nn.Module) -> frozenset[str]:
    """Return the names of the parameters that normalisations hold: modules of torch's types, or called a norm by their type.

    A LayerNorm over channels × height × width has factors of three dimensions, which are still no matrix.
    """
    own = {id(p) for module in model.modules() if _is_norm(module) for p in module.parameters(recurse=False)}
    return frozenset(name for name, p in model.named_parameters() if id(p) in own)


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm) or (
        "norm" in type(module).__name__.lower() and not isinstance(module, _ConvNd | nn.Linear)
    )


def laid_out(weights: Weights) -> NetworkWeights:
    """Return weights that know how they lie. Raise `TypeError` for a plain mapping, of which nobody knows what is stored."""
    if isinstance(weights, NetworkWeights):
        return weights
    raise TypeError(
        "a plain mapping of weights does not say which of them lie on the device: pass on the one that was given, "
        "or its `only(names)` or `replaced(tensors)`"
    )


def inventory(weights: NetworkWeights) -> dict[str, tuple[int, int]]:
    """Return how many tensors and weights are stored, by the kind of their layer, and how many are digital."""
    tensors: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for name, weight in weights.items():
        layer = weights.layout.layers.get(name)
        kind = layer.kind if layer else "digital"
        tensors[kind] += 1
        numbers[kind] += prod(weight.shape)
    return {kind: (tensors[kind], numbers[kind]) for kind in tensors}
