"""What the steps of a training do: the gradient that moves the weights, and how far they go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nrbench import ObservedStep, Observer, Weights

_PAPER = "Incorruptible Neural Networks (ICLR 2026 submission), "


class UpdateGradient(Observer):
    """The norm of the gradient that a method moves the weights by: at the perturbed point, before decay and momentum."""

    name: Literal["update_gradient"] = "update_gradient"
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


class Displacement(Observer):
    """‖ε‖ of the displacement that a method makes its last pass at, with its strength, and ‖ε‖ ÷ ‖w‖: strength over time.

    A step without one counts as 0; a method without any has no number.
    """

    name: Literal["displacement"] = "displacement"

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
