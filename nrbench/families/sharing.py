"""Tensors that a network shares between its parts: their names, their holders, and memory that is shared by accident."""

from __future__ import annotations

from torch import nn


def aliases(model: nn.Module) -> dict[str, str]:
    """Return the first name of each parameter and buffer by its other names: of a tied one, or of a module with two."""
    first: dict[int, str] = {}
    found = {}
    for name, tensor in (
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ):
        if first.setdefault(id(tensor), name) != name:
            found[name] = first[id(tensor)]
    return found


def other_holders(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Return the other holders of each tensor that has several, by each of its names: one for each module and attribute."""
    first: dict[int, str] = {}
    holders: dict[str, list[str]] = {}
    for path, module in model.named_modules():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                whole = f"{path}.{name}" if path else name
                holders.setdefault(first.setdefault(id(tensor), whole), []).append(whole)
    several = [names for names in holders.values() if len(names) > 1]
    return {name: tuple(other for other in names if other != name) for names in several for name in names}


def check_memory(model: nn.Module) -> None:
    """Raise `ValueError` when two different tensors of a network overlap: a displacement would reach one name of two."""
    spans = []
    parameters = {id(p) for p in model.parameters()}
    own = {id(tensor): (name, tensor) for name, tensor in (*model.named_buffers(), *model.named_parameters())}
    first: dict[int, str] = {}
    for name, tensor in own.values():
        if tensor.device.type == "meta":  # there are no addresses, but what is one memory there is one here
            memory = tensor.untyped_storage()._cdata
            if id(tensor) in parameters and first.setdefault(memory, name) != name:
                raise ValueError(_sharing(first[memory], name))
        elif tensor.numel():
            reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
            end = tensor.data_ptr() + (reach + 1) * tensor.element_size()
            spans.append((tensor.data_ptr(), end, name, id(tensor) in parameters))
    last: dict[bool, tuple[int, str]] = {True: (0, ""), False: (0, "")}  # the span that reaches furthest, of each sort
    for start, end, name, is_parameter in sorted(spans):
        for sort in (True, False) if is_parameter else (True,):
            if start < last[sort][0]:
                raise ValueError(_sharing(last[sort][1], name))
        last[is_parameter] = max(last[is_parameter], (end, name))


def overlap(first: nn.Module, second: nn.Module) -> str:
    """Return the name of a parameter or buffer of one network whose memory another one holds too; nothing where none is."""
    tensors = [(*model.named_parameters(), *model.named_buffers()) for model in (first, second)]
    places = {tensor.untyped_storage().data_ptr() for _, tensor in tensors[0]} - {0}
    return next((name for name, tensor in tensors[1] if tensor.untyped_storage().data_ptr() in places), "")


def _sharing(first: str, second: str) -> str:
    return (
        f"{first} and {second} share memory without being one tensor, so that they cannot be displaced alike; give both "
        "modules the same Parameter"
    )
