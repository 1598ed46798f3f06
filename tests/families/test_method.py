from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrbench import Chance, Perturbation, State, Step, Weights, displaced_backward
from nrbench.base.chance import TrainingChance
from nrbench.families.step import BatchNormStatistics


class Fixed(Perturbation):
    """A displacement given beforehand."""

    name: Literal["fixed"] = "fixed"
    by: float = 0.1

    def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
        return {name: torch.full_like(weight, self.by) for name, weight in weights.items()}


def step(model: nn.Module | None = None, **changes: Any) -> Step:
    torch.manual_seed(0)
    model = model or nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    given: dict[str, Any] = {
        "model": model,
        "images": torch.randn(16, 3, 2, 2),
        "labels": torch.arange(16) % 3,
        "criterion": cross_entropy,
        "chance": TrainingChance(0, 0, {}, device="cpu"),
        "state": State(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
    }
    return Step(**given | changes)


def gradients(done: Step) -> list[Tensor]:
    return [p.grad for p in done.model.parameters() if p.grad is not None]


def at(by: float, **changes: Any) -> list[Tensor]:
    """The gradient of the loss with every weight moved by a number, from a model that really has those weights."""
    moved = step(**changes)
    with torch.no_grad():
        for parameter in moved.model.parameters():
            parameter += by
    cross_entropy(moved.model(moved.images), moved.labels).backward()
    return gradients(moved)


def close(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.allclose(a, b, atol=1e-6) for a, b in zip(first, second, strict=True))


def test_the_gradient_is_taken_at_the_displaced_weights() -> None:
    """`displaced_backward` leaves ∇L(w + δ) in .grad and returns L(w + δ)."""
    done = step()
    loss = displaced_backward(done, Fixed())
    assert close(gradients(done), at(0.1))
    moved = step()
    with torch.no_grad():
        for parameter in moved.model.parameters():
            parameter += 0.1
    assert loss == pytest.approx(cross_entropy(moved.model(moved.images), moved.labels).item(), abs=1e-6)
    assert done.passes == 1


def test_strength_scales_the_displacement() -> None:
    """Half the strength is half the displacement, for any perturbation."""
    done = step(strength=0.5)
    displaced_backward(done, Fixed(by=0.2))
    assert close(gradients(done), at(0.1))


def test_mix_adds_the_clean_gradient() -> None:
    """With mix m the gradient is m · ∇L(w + δ) + (1 - m) · ∇L(w), at the cost of two passes."""
    done = step()
    displaced_backward(done, Fixed(), mix=0.25)
    expected = [0.25 * a + 0.75 * b for a, b in zip(at(0.1), at(0.0), strict=True)]
    assert close(gradients(done), expected)
    assert done.passes == 2


def test_samples_split_the_batch() -> None:
    """Two samples cost one pass, and each part of the batch meets a displacement of its own."""

    class Drawn(Perturbation):
        name: Literal["drawn"] = "drawn"

        def displacement(self, weights: Weights, *, gradient: Weights | None, chance: Chance) -> Weights:
            return {name: 0.1 * chance.normal(name, weight.shape) for name, weight in weights.items()}

    linear = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    done = step(linear)
    displaced_backward(done, Drawn(), samples=2)
    assert done.passes == 1
    expected = [torch.zeros_like(p) for p in linear.parameters()]
    for part, rows in enumerate((slice(0, 8), slice(8, 16))):
        linear.zero_grad()
        alone = step(linear)
        chance = alone.chance.sample(part) if part else alone.chance
        delta = Drawn().displacement(alone.weights(), gradient=None, chance=chance)
        moved = {name: p + delta[name] for name, p in linear.named_parameters()}
        out = torch.func.functional_call(linear, moved, (alone.images[rows],))
        (cross_entropy(out, alone.labels[rows]) / 2).backward()
        expected = [total + p.grad for total, p in zip(expected, linear.parameters(), strict=True)]
    linear.zero_grad()
    again = step(linear)
    displaced_backward(again, Drawn(), samples=2)
    assert close(gradients(again), expected)


def test_an_exception_leaves_the_weights_alone() -> None:
    """w is never written, so a pass that fails cannot leave the model displaced."""

    def failing(logits: Tensor, labels: Tensor) -> Tensor:
        raise RuntimeError("no loss")

    done = step(criterion=failing)
    before = [p.detach().clone() for p in done.model.parameters()]
    with pytest.raises(RuntimeError, match="no loss"):
        displaced_backward(done, Fixed())
    assert all(torch.equal(a, b) for a, b in zip(before, done.model.parameters(), strict=True))


CLEAN, MOVED = "clean", "moved"


@pytest.mark.parametrize(
    ("rule", "passes", "updates", "cost"),
    [
        ("first", (CLEAN, MOVED), [CLEAN], 2),
        ("first", (MOVED,), [MOVED], 1),
        ("clean", (CLEAN, MOVED), [CLEAN], 2),
        ("clean", (MOVED,), [CLEAN], 4 / 3),
        ("perturbed", (CLEAN, MOVED), [MOVED], 2),
        ("perturbed", (CLEAN,), [CLEAN], 4 / 3),
        ("both", (CLEAN, MOVED), [CLEAN, MOVED], 2),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple | list) else None,
)
def test_which_passes_update_running_statistics(
    rule: BatchNormStatistics, passes: tuple[str, ...], updates: list[str], cost: float
) -> None:
    """Running statistics see the passes the recipe names; if there is none, one extra forward pass at w."""
    done = step(bn_statistics=rule)
    for kind in passes:
        done.backward(Fixed().displacement(done.weights(), gradient=None, chance=done.chance) if kind == MOVED else {})
    done.finish()
    reference = step().model.train()
    for kind in updates:
        with torch.no_grad():
            for parameter in reference.parameters():
                parameter += 0.1 if kind == MOVED else 0.0
            reference(done.images)
            for parameter in reference.parameters():
                parameter -= 0.1 if kind == MOVED else 0.0
    norm, expected = done.model[2], reference[2]
    assert int(norm.num_batches_tracked) == len(updates)
    assert torch.allclose(norm.running_mean, expected.running_mean, atol=1e-6)
    assert done.passes == pytest.approx(cost)


def test_all_passes_of_a_step_share_their_dropout_masks() -> None:
    """The same seed before every pass: two passes of a step drop the same units."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 64), nn.Dropout(0.5), nn.Linear(64, 3))
    done = step(model)
    assert done.backward() == done.backward()
    other = step(model, dropout_seed=1)
    assert other.backward() != step(model).backward()


def test_take_gradient_leaves_what_it_is_told_to() -> None:
    """The gradient taken is whole; a share of it may stay behind."""
    done = step()
    done.backward()
    whole = [gradient.clone() for gradient in gradients(done)]
    taken = done.take_gradient(keep=0.25)
    assert close(list(taken.values()), whole)
    assert close(gradients(done), [0.25 * gradient for gradient in whole])
    done.take_gradient()
    assert gradients(done) == []
