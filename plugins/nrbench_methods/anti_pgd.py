"""Anticorrelated perturbed gradient descent."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nrbench import Method, Step


class AntiPGD(Method):
    """w ← w - η∇L(w) + ξ - ξ' with noise ξ that is taken back at the next step; one pass.

    What the weights of the network are here is z = w - ξ, for which that is the gradient at z + ξ: the published sequence
    is the one that the gradients are taken at, and z is what is judged. ξ is the same for all parameters that are
    trained, whatever their size. A schedule that ends at 0 takes the noise off for the last steps.
    """

    name: Literal["anti_pgd"] = "anti_pgd"
    paper: ClassVar[str] = "Orvieto et al. 2022, Anticorrelated Noise Injection for Improved Generalization (eq. 3)"

    sigma: float = Field(default=0.01, ge=0)
    """The standard deviation of ξ."""

    def backward(self, step: Step) -> Tensor:
        if step.strength == 0:
            return step.backward()
        trained = {name: p for name, p in step.model.named_parameters() if p.requires_grad}
        noise = {name: step.chance.normal(name, p.shape).to(p.dtype) for name, p in trained.items()}
        return step.scaled(self.sigma).backward(noise)
