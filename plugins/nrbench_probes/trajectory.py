"""What the steps of a training do: the gradient that moves the weights, and how far they go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from nrbench import NoiseModel, ObservedStep, Observer, Weights

_PAPER = "Incorruptible Neural Networks (ICLR 2026 submission), "


class UpdateGradient(Observer):
    """The norm of the gradient that a method moves the weights by: at the perturbed point, before decay and momentum."""

    name: Literal["update_gradient"] = "update_gradient"
    numbers: ClassVar[tuple[str, ...]] = ("norm",)
    paper: ClassVar[str] = f"{_PAPER}section 4.4, figures 3a and 8a"

    def passes(self, images: Mapping[str, int]) -> float:
        return 0.0

    def observed(self, step: ObservedStep) -> Mapping[str, Tensor | float]:
        return {"norm": norm(step.gradient)}


class GradientCosine(Observer):
    """The cosine between that gradient and the gradient at the weights themselves, on the same batch, and both norms.

    Beside them the gradient sharpness: by how much the loss that the method differentiated, at its perturbed weights, is
    above `loss`, that at the weights.
    """

    name: Literal["gradient_cosine"] = "gradient_cosine"
    numbers: ClassVar[tuple[str, ...]] = ("cosine", "perturbed_norm", "clean_norm", "loss", "sharpness")
    paper: ClassVar[str] = f"{_PAPER}section 4.4 and appendix B.1, figures 3b, 5 and 11a"

    def passes(self, images: Mapping[str, int]) -> float:
        return images["train"] / self.steps

    def observed(self, step: ObservedStep) -> Mapping[str, Tensor | float]:
        loss, clean = step.gradient_at()
        perturbed = {name: step.gradient[name] for name in clean if name in step.gradient}
        product = torch.stack(
            [(tensor.double() * clean[name].double()).sum() for name, tensor in perturbed.items()]
        ).sum()
        lengths = norm(perturbed), norm(clean)
        return {
            "cosine": product / (lengths[0] * lengths[1]).clamp_min(1e-30),
            "perturbed_norm": lengths[0],
            "clean_norm": lengths[1],
            "loss": loss,
            "sharpness": step.loss - loss,
        }


class PerturbedLoss(Observer):
    """The loss of a step's batch at perturbed weights L(w + ε) in training mode, at a constant distance whatever the method.

    ε is ρ·∇L(w)/‖∇L(w)‖ of that batch, or the displacement of a noise model.
    """

    name: Literal["perturbed_loss"] = "perturbed_loss"
    numbers: ClassVar[tuple[str, ...]] = ("loss", "loss_at_weights")
    paper: ClassVar[str] = f"{_PAPER}appendix E.4, figure 12"

    rho: float | None = Field(default=None, gt=0)
    """The length of the step along the gradient."""
    noise: NoiseModel | None = None
    """What ε is drawn from."""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.rho is None) == (self.noise is None):
            raise ValueError("say either rho or noise")
        return self

    def passes(self, images: Mapping[str, int]) -> float:
        return images["train"] * (4 / 3 if self.noise is None else 1 / 3) / self.steps

    def observed(self, step: ObservedStep) -> Mapping[str, Tensor | float]:
        if self.noise is not None:
            chance = step.step.chance.part(f"probe {self.fingerprint}")
            return {"loss": step.loss_at(self.noise.displacement(step.step.weights(), chance=chance))}
        loss, gradient = step.gradient_at()
        factor = (self.rho or 0.0) / norm(gradient).clamp_min(1e-12)
        delta = {name: (factor * part).to(part.dtype) for name, part in gradient.items()}
        return {"loss": step.loss_at(delta), "loss_at_weights": loss}


class Displacement(Observer):
    """‖ε‖ of the displacement that a method makes its last pass at, with its strength, and ‖ε‖ ÷ ‖w‖: strength over time.

    A step without one counts as 0; a method without any has no number.
    """

    name: Literal["displacement"] = "displacement"
    numbers: ClassVar[tuple[str, ...]] = ("norm", "share")

    def passes(self, images: Mapping[str, int]) -> float:
        return 0.0

    def observed(self, step: ObservedStep) -> Mapping[str, Tensor | float]:
        displaced = step.displacement()
        if not displaced:
            return {}
        length = norm(displaced)
        return {"norm": length, "share": length / norm(step.weights())}


def norm(tensors: Weights) -> Tensor:
    """Return the Euclidean norm of several tensors together."""
    lengths = torch._foreach_norm(list(tensors.values()))
    length: Tensor = torch.linalg.vector_norm(torch.stack(lengths).double())
    return length
