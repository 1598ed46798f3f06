"""What a few passes of a network show: that its products meet the weights that a device would hold, in training and in
evaluation, and that a pass in evaluation changes nothing and draws nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

from nrbench.families.analog import Layer, Layout

PRODUCTS = """
linear bilinear matmul __matmul__ __rmatmul__ mm bmm addmm baddbmm addbmm mv addmv dot inner einsum tensordot multi_dot
embedding multi_head_attention_forward _native_multi_head_attention _transformer_encoder_layer_fwd
scaled_dot_product_attention lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell convolution
_convolution conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc deform_conv2d
"""
"""What multiplies activations with a weight, or looks it up, as torch calls it."""
COPIES = "to contiguous clone float half bfloat16 double type type_as detach reshape flatten expand_as"
"""What gives the same numbers, perhaps in another place or precision."""
LOOKS = "__get__ size dim numel stride storage_offset is_contiguous is_floating_point is_complex"
"""What asks a tensor about itself, not for its values."""
ROUNDING = 1e-3
"""How far two passes over the same image may differ, in units of the largest logit."""
_PRODUCTS, _COPIES, _LOOKS = (frozenset(names.split()) for names in (PRODUCTS, COPIES, LOOKS))


class _Seen(TorchFunctionMode):
    """What torch's functions were given in a pass, by its memory; and what became of the weights that are watched."""

    def __init__(self, watched: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.all: set[int] = set()
        self.products: set[int] = set()
        """Watched weights that a product met as they are."""
        self.computed: set[int] = set()
        """Watched weights that something else was computed from."""
        self._roots = {memory(tensor): memory(tensor) for tensor in watched}
        self._copies: list[Tensor] = []  # kept, or their memory would soon be somebody else's

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").partition(".")[0]
        if name in _LOOKS:
            return result
        given = {memory(each) for each in _tensors([*args, *(kwargs or {}).values()])}
        self.all |= given
        watched = {self._roots[each] for each in given & self._roots.keys()}
        made = [each for each in _tensors([result]) if memory(each) not in given] if watched else []
        if name in _PRODUCTS:
            self.products |= watched
        elif name in _COPIES and len(watched) == 1:
            self._roots |= {memory(each): root for each in made for root in watched}
            self._copies += made
        elif any(each.is_floating_point() or each.is_complex() for each in made):
            self.computed |= watched
        return result


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def memory(tensor: Tensor) -> int:
    """Return what tells the memory of a tensor from that of others, also where it has no address; views share it.

    Sparse tensors and those that torch.func wraps have none that can be asked for: 0.
    """
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return 0


def check_passes(model: nn.Module, layout: Layout, images: Tensor, classes: int) -> None:
    """Raise `ValueError` with the reason for a network that cannot be judged as it is; leave it in evaluation."""
    if wrapped := [m for m in model.modules() if isinstance(m, torch.jit.ScriptModule | nn.DataParallel)]:
        raise ValueError(f"a part of it is a {type(wrapped[0]).__name__}; return the network itself")
    others = [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]
    if others:
        raise ValueError(f"its state {others[0]} is no tensor, which no file of weights can hold")
    for name, parameter in model.named_parameters():
        if "/" in name:
            raise ValueError(f"its parameter {name!r} has a / in its name, which stands between the parts of a state")
        if parameter.is_complex():
            raise ValueError(f"its parameter {name} is complex; make it real, with two numbers in a last dimension")
    model.eval()
    with torch.no_grad():
        first = _check_evaluation(model, images, classes)
    _check_uses(model, layout, images[:1], first)


def check_output(output: object, count: int, classes: int) -> None:
    """Raise `ValueError` for an output that is not the logits of so many images."""
    if not isinstance(output, Tensor):
        raise ValueError(f"its output is a {type(output).__name__} and not a tensor of logits")
    if tuple(output.shape) != (count, classes):
        raise ValueError(f"its output is {tuple(output.shape)} for {count} images of {classes} classes")


def _named(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _kept(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers that a state dict has; what is not among them may be a cache that a pass fills."""
    kept = model.state_dict().keys()
    return {name: tensor for name, tensor in _named(model).items() if name in kept}


def _passing(model: nn.Module) -> Mapping[str, Tensor]:
    """Return the buffers that no state dict has."""
    kept = _kept(model)
    return {name: tensor for name, tensor in _named(model).items() if name not in kept}


def _differs(now: Tensor | None, was: Tensor) -> bool:
    """Whether a tensor has other values than it had, as far as it has any."""
    if was.device.type == "meta":
        return False
    return now is None or now.shape != was.shape or not torch.equal(now, was)


class _Snapshot:
    """What tensors were, to be told later which of them have been written to."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._was = {name: (t, t.clone(), t._version, memory(t)) for name, t in tensors.items()}

    def written(self, now: Mapping[str, Tensor]) -> list[str]:
        """Return the names of those that are others now, or have been written to."""
        return [
            name
            for name, (tensor, was, version, place) in self._was.items()
            if now[name] is not tensor
            or (tensor._version, memory(tensor)) != (version, place)
            or _differs(now[name], was)
        ]


def _check_evaluation(model: nn.Module, images: Tensor, classes: int) -> set[int]:
    """Raise `ValueError` for a network that a pass in evaluation changes, or whose passes differ; return what a pass uses."""
    names, before, drawn = _kept(model).keys(), _Snapshot(_kept(model)), torch.random.get_rng_state()
    seen = _Seen()
    with seen:
        together = model(images)
    check_output(together, len(images), classes)
    alone = model(images[:1])
    check_output(alone, 1, classes)
    if new := sorted(_kept(model).keys() ^ names):
        raise ValueError(f"a pass makes or removes {', '.join(new[:3])}; make all parts of a network when it is built")
    if written := before.written(_kept(model)):
        raise ValueError(
            f"a pass in evaluation writes to {written[0]}, so that what it gives depends on what came before"
        )
    if not torch.equal(drawn, torch.random.get_rng_state()):
        raise ValueError(
            "a pass in evaluation draws random numbers; is there a dropout that does not ask for training?"
        )
    if images.device.type != "meta" and differ(together[:1], alone, ROUNDING):
        raise ValueError(
            "its answer for an image depends on the other images of its batch, or on the passes before, so that accuracy "
            "would change with recipe.evaluation_batch"
        )
    return seen.all


def differ(first: Tensor, second: Tensor, rounding: float) -> bool:
    """Whether the largest difference of two tensors is beyond so much of their largest number; equal ones do not differ."""
    first, second = first.float(), second.float()
    if torch.equal(first.nan_to_num(), second.nan_to_num()):
        return False
    return not float((first - second).abs().amax()) <= rounding * float(torch.maximum(first.abs(), second.abs()).amax())


@contextmanager
def training_writes_nothing(model: nn.Module) -> Iterator[None]:
    """Raise `ValueError` where a pass in training writes to what a displaced pass, or a file of weights, would lose."""
    parameters = _Snapshot(dict(model.named_parameters()))
    passing = {name: buffer.clone() for name, buffer in _passing(model).items()}
    yield
    if written := parameters.written(dict(model.named_parameters())):
        raise ValueError(
            f"a pass in training writes to the parameter {written[0]}, which a displaced pass would lose; let a method's "
            "update do it, or make it a buffer"
        )
    if moved := [name for name, was in passing.items() if _differs(_passing(model).get(name), was)]:
        raise ValueError(
            f"training moves {moved[0]}, a buffer that is not persistent, so that no file of weights has it"
        )


def _check_uses(model: nn.Module, layout: Layout, images: Tensor, first: set[int]) -> None:
    """Raise `ValueError` where a stored weight is not what a product meets; `first` is what the first pass used.

    What is computed from it first, a standardised one for instance, is what a device would hold, and a displacement of the
    weight itself would be another. A weight that nothing asks for is harmless.
    """
    own = {memory(tensor): name for name, tensor in model.named_parameters()}
    memories = {name: where for where, name in own.items()}
    state = {name: weight.clone() for name, weight in layout.weights_of(model).items()}
    seen = _Seen(state[name] for name in layout.layers)
    with torch.no_grad(), seen:
        output = layout.call(model, state, images)
    _check_outside(seen, own, layout, "also used by something that holds it outside of the network's modules")
    unused = {}
    for name, layer in layout.layers.items():
        used = memory(state[name])
        if used in seen.computed or (used in seen.all and used not in seen.products):
            raise ValueError(
                f"{layer.module} ({type(model.get_submodule(layer.module)).__name__}) computes another weight from its own "
                "in each pass, which is what a device would hold; leave it digital by Backbone.stored, or take a network "
                "whose layers use their weights as they are"
            )
        if used not in seen.all and name in layout.computed:
            _check_asked(model, layer, seen)
        elif used not in seen.all and memories.get(name) in first:
            raise ValueError(
                f"{name} is used in the first pass and not in the next: something remembers what became of it"
            )
        elif used not in seen.all:
            unused[name] = state[name] + 1
    if unused and output.device.type != "meta":
        with torch.no_grad():
            if not torch.equal(layout.call(model, {**state, **unused}, images), output):
                raise ValueError(
                    f"{next(iter(unused))} is used where it cannot be seen how, in a compiled or scripted function perhaps"
                )


def _check_asked(model: nn.Module, layer: Layer, seen: _Seen) -> None:
    module = model.get_submodule(layer.module)
    stale = getattr(module, layer.name.rpartition(".")[2], None)
    if not parametrize.is_parametrized(module) and isinstance(stale, Tensor) and memory(stale) in seen.all:
        raise ValueError(
            f"{layer.name} is computed before each pass of {layer.module}, which is not passed but asked for its weight; "
            "make the norm or mask permanent, or use torch.nn.utils.parametrize"
        )


def _check_outside(seen: _Seen, own: Mapping[int, str], layout: Layout, why: str) -> None:
    outside = [own[each] for each in seen.all & own.keys() if own[each] in layout.layers]
    if outside:
        raise ValueError(f"{sorted(outside)[0]} is {why}: no displacement would reach it there")
