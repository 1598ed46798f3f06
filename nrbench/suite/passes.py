"""What a few passes of a network show: that its products meet the weights that a device would hold, and that a pass in
evaluation changes nothing and draws nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

from nrbench.families.analog import Layout

PRODUCTS = """
linear bilinear matmul __matmul__ __rmatmul__ mm bmm addmm baddbmm addbmm mv addmv dot inner einsum tensordot embedding
multi_head_attention_forward _native_multi_head_attention _transformer_encoder_layer_fwd lstm gru rnn_tanh rnn_relu lstm_cell
gru_cell rnn_tanh_cell rnn_relu_cell convolution _convolution conv1d conv2d conv3d conv_transpose1d conv_transpose2d
conv_transpose3d conv_tbc
"""
"""What multiplies activations with a weight, or looks it up, as torch calls it."""
LOOKS = "__get__ size dim numel stride storage_offset is_contiguous is_floating_point is_complex"
"""What asks a tensor about itself, not for its values."""
_PRODUCTS, _LOOKS = frozenset(PRODUCTS.split()), frozenset(LOOKS.split())


class _Seen(TorchFunctionMode):
    """The memories of the tensors that torch's functions were given in a pass: by products, and by anything."""

    def __init__(self) -> None:
        super().__init__()
        self.products: set[int] = set()
        self.all: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name not in _LOOKS:
            found = {memory(each) for each in _tensors([*args, *(kwargs or {}).values()])}
            self.all |= found
            if name in _PRODUCTS:
                self.products |= found
        return func(*args, **(kwargs or {}))


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def memory(tensor: Tensor) -> int:
    """Return what tells the memory of a tensor from that of others, also where it has no address; views share it."""
    return int(tensor.untyped_storage()._cdata)


def check_passes(model: nn.Module, layout: Layout, images: Tensor, classes: int) -> None:
    """Raise `ValueError` with the reason for a network that cannot be trained and judged as it is; leave it in evaluation."""
    if wrapped := [m for m in model.modules() if isinstance(m, torch.jit.ScriptModule | nn.DataParallel)]:
        raise ValueError(f"a part of it is a {type(wrapped[0]).__name__}; return the network itself")
    others = [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]
    if others:
        raise ValueError(f"its state {others[0]} is no tensor, which no file of weights can hold")
    model.eval()
    first = _check_evaluation(model, images, classes)
    model.train()
    passing = {name: buffer.clone() for name, buffer in _passing(model).items()}
    _check_output(model(images), len(images), classes)
    if moved := [name for name, was in passing.items() if _differs(_passing(model).get(name), was)]:
        raise ValueError(
            f"training moves {moved[0]}, a buffer that is not persistent, so that no file of weights has it"
        )
    model.eval()
    _check_output(model(images[:1]), 1, classes)
    _check_uses(model, layout, images, first)


def _check_output(output: object, count: int, classes: int) -> None:
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
    return {name: tensor for name, tensor in _named(model).items() if name not in _kept(model)}


def _differs(now: Tensor | None, was: Tensor) -> bool:
    """Whether a tensor has other values than it had, as far as it has any."""
    if was.device.type == "meta":
        return False
    return now is None or now.shape != was.shape or not torch.equal(now, was)


def _check_evaluation(model: nn.Module, images: Tensor, classes: int) -> set[int]:
    """Raise `ValueError` for a network that a pass in evaluation changes, or whose passes differ; return what a pass uses."""
    own = {name: (tensor, tensor.clone(), (tensor._version, memory(tensor))) for name, tensor in _kept(model).items()}
    drawn = torch.random.get_rng_state()
    seen = _Seen()
    with seen:
        first = model(images)
    _check_output(first, len(images), classes)
    second = model(images)
    if new := sorted(_kept(model).keys() ^ own.keys()):
        raise ValueError(f"a pass makes or removes {', '.join(new[:3])}; make all parts of a network when it is built")
    for name, now in _kept(model).items():
        tensor, was, state = own[name]
        if now is not tensor or (tensor._version, memory(tensor)) != state or _differs(now, was):
            raise ValueError(
                f"a pass in evaluation writes to {name}, so that what it gives depends on what came before"
            )
    if not torch.equal(drawn, torch.random.get_rng_state()):
        raise ValueError(
            "a pass in evaluation draws random numbers; is there a dropout that does not ask for training?"
        )
    if images.device.type != "meta" and not torch.equal(first, second):
        raise ValueError("two passes in evaluation over the same images differ")
    return seen.all


def _check_uses(model: nn.Module, layout: Layout, images: Tensor, first: set[int]) -> None:
    """Raise `ValueError` where a stored weight is not what a product meets; `first` is what the first pass used.

    What is computed from it first, a standardised one for instance, is what a device would hold, and a displacement of the
    weight itself would be another. A weight that nothing asks for is harmless.
    """
    weights = layout.weights_of(model)
    own = {memory(tensor): name for name, tensor in model.named_parameters()}
    memories = {name: where for where, name in own.items()}
    state = {name: weight.clone() for name, weight in weights.items()}
    with _Seen() as seen:
        layout.call(model, state, images)
    outside = [own[each] for each in seen.all & own.keys() if own[each] in layout.layers]
    if outside:
        raise ValueError(
            f"{outside[0]} is also used by something that holds it outside of the network's modules, which no displacement "
            "would reach"
        )
    for name, layer in layout.layers.items():
        used = memory(state[name])
        if used not in seen.all and layer.name in layout.computed:
            stale = getattr(model.get_submodule(layer.module), name.rpartition(".")[2], None)
            module = model.get_submodule(layer.module)
            if parametrize.is_parametrized(module) or not isinstance(stale, Tensor) or memory(stale) not in seen.all:
                continue
            raise ValueError(
                f"{name} is computed before each pass of {layer.module}, which is not passed but asked for its weight; "
                "make the norm or mask permanent, or use torch.nn.utils.parametrize"
            )
        if used in seen.all and used not in seen.products:
            raise ValueError(
                f"{layer.module} ({type(model.get_submodule(layer.module)).__name__}) computes another weight from its own "
                "in each pass, which is what a device would hold; leave it digital by Backbone.stored, or take a network "
                "whose layers use their weights as they are"
            )
        if used not in seen.all and memories.get(name) in first:
            raise ValueError(
                f"{name} is used in the first pass and not in the next: something remembers what became of it"
            )
