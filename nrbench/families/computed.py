"""Weights that are computed in the forward pass, from other parameters: under a norm, a mask, any parametrization.

A device holds the result. So a displacement belongs to the end of the computation, and this is where it is put.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Computed(nn.Module):
    """The end of a weight's computation: the identity, but for a pass at other weights."""

    def __init__(self, module: str, name: str) -> None:
        super().__init__()
        self.module, self.tensor = module, name
        self.change: Callable[[Tensor], Tensor] | None = None

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight as this pass has it."""
        return weight if self.change is None else self.change(weight)

    def value(self, model: nn.Module) -> Tensor:
        """Return the weight as it is in evaluation, without its graph; nothing else changes, power iterations neither."""
        module = model.get_submodule(self.module)
        parametrized = parametrize.is_parametrized(module, self.tensor)
        parts = list(_parametrizations(module, self.tensor).modules()) if parametrized else [module]
        training = [part.training for part in parts]
        try:
            for part in parts:
                part.training = False
            with torch.no_grad():
                if not parametrized:
                    for hook in module._forward_pre_hooks.values():
                        if _makes(hook) == self.tensor or (isinstance(hook, _AfterHooks) and hook.end is self):
                            hook(module, ())
                found: Tensor = getattr(module, self.tensor)
                return found.detach()
        finally:
            for part, was in zip(parts, training, strict=True):
                part.training = was

    def parameters_of(self, model: nn.Module) -> Iterator[str]:
        """Yield the names of the parameters that it is computed from."""
        module = model.get_submodule(self.module)
        at = f"{self.module}." if self.module else ""
        if parametrize.is_parametrized(module, self.tensor):
            own = _parametrizations(module, self.tensor).named_parameters(remove_duplicate=False)
            yield from (f"{at}parametrizations.{self.tensor}.{name}" for name, _ in own)
        else:
            yield from (f"{at}{name}" for name in module._parameters if name.startswith(f"{self.tensor}_"))


class _AfterHooks:
    """The last of the hooks that compute a weight before each pass."""

    def __init__(self, end: Computed) -> None:
        self.end = end

    def __call__(self, module: nn.Module, arguments: Any) -> None:
        setattr(module, self.end.tensor, self.end(getattr(module, self.end.tensor)))


def ends_of(model: nn.Module) -> dict[str, Computed]:
    """Return the ends of all weights that are computed, by the name that the weight would have; make those not there.

    This changes no value and no name of a parameter.
    """
    found = {}
    for path, module in model.named_modules():
        for name in [*_computed_names(module)]:
            parametrized = parametrize.is_parametrized(module, name)
            ends: list[Any] = [hook.end for hook in module._forward_pre_hooks.values() if isinstance(hook, _AfterHooks)]
            if parametrized:
                ends = list(_parametrizations(module, name).children())
            end = next((end for end in ends if isinstance(end, Computed) and end.tensor == name), None)
            if end is None:
                end = Computed(path, name)
                if parametrized:
                    parametrize.register_parametrization(module, name, end, unsafe=True)
                else:
                    module.register_forward_pre_hook(_AfterHooks(end))
            found[f"{path}.{name}" if path else name] = end
    return found


def make_plain(model: nn.Module, name: str) -> None:
    """Let a computed weight be a parameter of its own, with the value that it has in evaluation, computed no more."""
    path, _, tensor = name.rpartition(".")
    module = model.get_submodule(path)
    if parametrize.is_parametrized(module, tensor):
        parametrize.remove_parametrizations(module, tensor, leave_parametrized=True)
        return
    for key, hook in [*module._forward_pre_hooks.items()]:
        if _makes(hook) == tensor:
            hook(module, ())
            del module._forward_pre_hooks[key]
    value = getattr(module, tensor).detach()
    delattr(module, tensor)
    module.register_parameter(tensor, nn.Parameter(value))


def _parametrizations(module: nn.Module, name: str) -> nn.Module:
    of: nn.ModuleDict = module.parametrizations  # type: ignore[assignment]
    return of[name]


def _computed_names(module: nn.Module) -> Iterator[str]:
    if parametrize.is_parametrized(module):
        yield from module.parametrizations  # type: ignore[misc]
    for hook in module._forward_pre_hooks.values():
        name = _makes(hook)
        if name is not None and name not in module._parameters and isinstance(getattr(module, name, None), Tensor):
            yield name


def _makes(hook: Any) -> str | None:
    """Return the name of the weight that a hook computes before each pass, as torch's own norms and masks say it."""
    name = getattr(hook, "name", None) or getattr(hook, "_tensor_name", None)
    return name if isinstance(name, str) else None


@contextmanager
def changed(computed: Mapping[str, Computed], changes: Mapping[str, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Let computed weights end in other values for the passes inside."""
    try:
        for name, change in changes.items():
            computed[name].change = change
        yield
    finally:
        for name in changes:
            computed[name].change = None
