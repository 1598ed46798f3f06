"""Networks: a model at w or w + δ, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nrbench.base.chance import EvaluationChance
from nrbench.families.dataset import Images
from nrbench.families.displacement import NONE, Weights, displaced
from nrbench.families.noise import NoiseModel
from nrbench.jobs.batches import Normalisation
from nrbench.jobs.device import autocast
from nrbench.jobs.train import copy_into
from nrbench.suite.cell import Training

CALIBRATION_IMAGES = 1024


CALIBRATION_BATCH = 256


@dataclass(frozen=True, slots=True)
class Judge:
    """A network in evaluation mode and the means to count its right answers under noise."""

    model: nn.Module
    training: Training
    normalise: Normalisation
    device: torch.device
    _loaded: dict[str, Tensor] = field(default_factory=dict, init=False)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Judge these parameters and buffers from here on."""
        copy_into(self.model, weights)
        self._loaded.clear()
        self._loaded.update(weights)

    def displacement(self, noise: NoiseModel, weights: Weights, chance: EvaluationChance) -> Weights:
        """Return a noise model's displacement; raise `ValueError`, with the weights as they were, if it wrote to them."""
        before = [weight._version for weight in weights.values()]
        with torch.inference_mode():
            delta = noise.displacement(weights, chance=chance.anew())
        if [weight._version for weight in weights.values()] != before:
            copy_into(self.model, self._loaded)
            raise ValueError(f"{noise.name} wrote to the weights it was given")
        return delta

    def weights(self) -> Weights:
        """Return the trainable weights, detached, by name."""
        return {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}

    def chips(self, purpose: str, draws: int) -> Iterator[EvaluationChance]:
        """Yield the simulated chips 0 … draws-1 of this training's backbone and seed: the same for every method."""
        fingerprint, seed = self.training.backbone.fingerprint, self.training.seed
        for draw in range(draws):
            yield EvaluationChance.chip(fingerprint, seed, purpose, draw, device=self.device)

    @torch.inference_mode()
    def count(self, delta: Weights, images: Images, *, calibration: Images | None = None) -> int:
        """Return how many images are classified rightly at w + δ.

        With calibration images, BatchNorm's running statistics are first estimated anew on them, at w + δ. An output that
        is not finite is a wrong answer.
        """
        return self._count(self._network(delta, calibration), images)

    @torch.inference_mode()
    def count_noisy(
        self, noise: NoiseModel, chance: EvaluationChance, images: Images, *, calibration: Images | None = None
    ) -> tuple[int | None, float]:
        """Return how many images are classified rightly on one simulated chip, None where δ is nothing, and ‖δ‖.

        While the images pass there is memory for the chip's numbers and for w + δ, each of the size of the model.
        """
        delta = self.displacement(noise, self.weights(), chance)
        length = norm(delta.values())
        if not delta:
            return None, length
        network = self._network(delta, calibration)
        del delta
        return self._count(network, images), length

    def _network(self, delta: Weights, calibration: Images | None) -> Callable[[Tensor], Tensor]:
        buffers = NONE if calibration is None else self._recalibrated(delta, calibration)
        return displaced(self.model, delta, buffers=buffers)

    @torch.inference_mode()
    def scores(self, noises: Sequence[NoiseModel], images: Images, *, draws: int) -> list[int]:
        """Return, for each noise model, how many images are right when chunk m of `draws` meets selection draw m.

        The images are expected in an order that does not follow their classes; see `selection.Scoring`.
        """
        totals = [0] * len(noises)
        draws = min(draws, len(images))
        chunks = zip(images.images.tensor_split(draws), images.labels.tensor_split(draws), strict=True)
        weights = self.weights()
        for chance, chunk in zip(self.chips("selection", draws), chunks, strict=True):
            for index, noise in enumerate(noises):
                delta = self.displacement(noise, weights, chance)
                totals[index] += self._count(displaced(self.model, delta), Images(*chunk))
        return totals

    def _count(self, forward: Callable[[Tensor], Tensor], images: Images) -> int:
        size = self.training.recipe.evaluation_batch
        cast = autocast(self.training.recipe, self.device)
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        for batch, labels in zip(torch.split(images.images, size), torch.split(images.labels, size), strict=True):
            with cast():
                logits = forward(self.normalise(batch))
            right += ((logits.argmax(1) == labels) & logits.isfinite().all(1)).sum()
        return int(right.item())

    def _recalibrated(self, delta: Weights, images: Images) -> Weights:
        modules = dict(self.model.named_modules())
        named = {name: m for name, m in modules.items() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
        norms = list(named.values())
        anew = {f"{name}.{buffer}" for name, norm in named.items() for buffer, _ in norm.named_buffers()}
        buffers = {
            name: torch.zeros_like(buffer) if name in anew else buffer.clone()
            for name, buffer in self.model.named_buffers()
        }
        forward = displaced(self.model, delta, buffers=buffers)
        momenta = [norm.momentum for norm in norms]
        cast = autocast(self.training.recipe, self.device)
        try:
            for norm in norms:
                norm.train()
                norm.momentum = None  # a cumulative average
            for batch in images.images.tensor_split(-(-len(images) // CALIBRATION_BATCH)):
                with cast():
                    forward(self.normalise(batch))
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.eval()
                norm.momentum = momentum
        return buffers


def norm(tensors: Iterable[Tensor]) -> float:
    """Return the Euclidean norm of several tensors together."""
    each = list(tensors)
    return float(torch.stack(torch._foreach_norm(each)).double().norm()) if each else 0.0
