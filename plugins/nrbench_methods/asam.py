"""Adaptive sharpness-aware minimisation."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Chance, Method, Perturbation, Step, Weights, displaced_backward, laid_out
from nrbench_methods.vectors import filter_norms, is_vector, length

_PAPER = "Kwon et al. 2021, ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning (eq. 8, 13)"


class AdaptiveAscent(Perturbation):
    """ρ · T²g / ‖Tg‖: the step that is first to raise the loss where ‖T⁻¹ε‖ ≤ ρ."""

    name: Literal["adaptive_ascent"] = "adaptive_ascent"
    needs_gradient: ClassVar[bool] = True

    rho: float = Field(ge=0)
    eta: float = Field(default=0.01, ge=0)
    """What is added to the size of a weight, so that weights of 0 move."""
    by: Literal["element", "filter", "layer"] = "element"
    """What has one size: each weight, each filter (its Euclidean norm), or each tensor."""

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        if not gradient:
            return {}
        sizes = {name: self._size(name, weights) for name in gradient}
        scaled = {name: sizes[name] * part for name, part in gradient.items()}
        factor = self.rho / (length(scaled.values()) + 1e-12)
        return {name: factor * sizes[name] * part for name, part in scaled.items()}

    def _size(self, name: str, weights: Weights) -> Tensor | float:
        """Return T of a tensor: 1 where it is no weight by its name, such as a bias."""
        if "weight" not in name:
            return 1.0
        if self.by == "element" or (self.by == "filter" and is_vector(name, weights)):
            return weights[name].abs() + self.eta
        norm = filter_norms(laid_out(weights).only([name]))[name] if self.by == "filter" else weights[name].norm()
        return norm + self.eta


class ASAM(Method):
    """SAM in a neighbourhood that scales with the weights: ε = ρ · T²g / ‖Tg‖ with T = |w| + η; two passes.

    T is 1 for biases, as in the authors' code, which goes by names, and counts the factors of norms among the weights.
    """

    name: Literal["asam"] = "asam"
    paper: ClassVar[str] = _PAPER

    rho: float = Field(default=0.5, ge=0)
    """The radius in units of T; the authors take 0.5 for CIFAR-10 and 1 for CIFAR-100."""
    eta: float = Field(default=0.01, ge=0)
    """What is added to the size of a weight, so that weights of 0 move."""
    by: Literal["element", "filter", "layer"] = "element"
    """What has one size: each weight, each filter (its Euclidean norm), or each tensor."""

    def planned_passes(self) -> float:
        return 2.0

    def backward(self, step: Step) -> Tensor:
        return displaced_backward(step, AdaptiveAscent(rho=self.rho, eta=self.eta, by=self.by))
