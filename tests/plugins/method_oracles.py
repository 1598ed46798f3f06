"""Each method written out as its paper has it, on one long vector of weights and in plain torch: what methods are compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, pi, sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from nrbench.base.chance import TrainingChance

LR, MOMENTUM, DECAY, TOTAL, PER_EPOCH = 0.1, 0.9, 5e-4, 10, 5


@dataclass
class Plain:
    """A network whose weights are one vector, moved by SGD with momentum and weight decay."""

    model: nn.Module
    kept: dict[str, Any] = field(default_factory=dict)
    """What a method remembers."""
    number: int = -1
    velocity: Tensor | None = None
    batches: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @property
    def chance(self) -> TrainingChance:
        layout = {name: (p.shape, p.stride()) for name, p in self.model.named_parameters()}
        return TrainingChance(0, self.number, layout, device="cpu")

    @property
    def w(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.model.parameters()]).clone()

    @w.setter
    def w(self, vector: Tensor) -> None:
        for p, part in zip(self.model.parameters(), self.parts(vector), strict=True):
            p.data.copy_(part)

    def parts(self, vector: Tensor) -> list[Tensor]:
        parameters = list(self.model.parameters())
        pieces = vector.split([p.numel() for p in parameters])
        return [piece.view(p.shape) for piece, p in zip(pieces, parameters, strict=True)]

    def each(self, make: Callable[[str, Tensor], Tensor | float], of: Tensor | None = None) -> Tensor:
        """A vector made tensor by tensor, from its name and its part of a vector, by default of the weights."""
        names = [name for name, _ in self.model.named_parameters()]
        parts = self.parts(self.w if of is None else of)
        made = [make(name, part) * torch.ones_like(part) for name, part in zip(names, parts, strict=True)]
        return torch.cat([part.flatten() for part in made])

    def normal(self, chance: TrainingChance | None = None) -> Tensor:
        chance = chance or self.chance
        return self.each(lambda name, part: chance.normal(name, part.shape).double())

    def loss(self, x: Tensor, y: Tensor, at: Tensor | None = None, *, statistics: bool = False) -> Tensor:
        """The losses of images at a vector of weights, which keeps running statistics unless they are asked for."""
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        here = self.w
        if at is not None:
            self.w = at
        losses = cross_entropy(self.model(x), y, reduction="none")
        gradient = torch.autograd.grad(losses.mean(), list(self.model.parameters()), retain_graph=True)
        self.kept["gradient"] = torch.cat([g.flatten() for g in gradient])
        self.w = here
        if not statistics:
            for name, buffer in self.model.named_buffers():
                buffer.copy_(buffers[name])
        return losses.detach()

    def gradient(self, x: Tensor, y: Tensor, at: Tensor | None = None, *, statistics: bool = False) -> Tensor:
        self.loss(x, y, at, statistics=statistics)
        found: Tensor = self.kept.pop("gradient")
        return found

    def sgd(self, gradient: Tensor, decay_at: Tensor | None = None) -> None:
        gradient = gradient + DECAY * (self.w if decay_at is None else decay_at)
        self.velocity = gradient if self.velocity is None else MOMENTUM * self.velocity + gradient
        self.w = self.w - LR * self.velocity


def unit(vector: Tensor) -> Tensor:
    return vector / (vector.norm() + 1e-12)


def filter_norm(name: str, part: Tensor) -> Tensor:
    return part.norm(dim=1, keepdim=True) if part.ndim == 2 else part.norm()


Oracle = Callable[[Plain, Tensor, Tensor], None]


def sam(rho: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        g = net.gradient(x, y, statistics=True)
        net.sgd(net.gradient(x, y, net.w + rho * unit(g)))

    return step


def asam(rho: float, eta: float, by: str) -> Oracle:
    def size(name: str, part: Tensor) -> Tensor | float:
        if "weight" not in name:
            return 1.0
        if by == "layer":
            return part.norm() + eta
        return filter_norm(name, part) + eta if by == "filter" and part.ndim == 2 else part.abs() + eta

    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        g, t = net.gradient(x, y, statistics=True), net.each(size)
        net.sgd(net.gradient(x, y, net.w + rho * t**2 * g / (t * g).norm()))

    return step


def fisher_sam(gamma: float, eta: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        g = net.gradient(x, y, statistics=True)
        inverse = torch.diag(1 / (1 + eta * g**2))
        net.sgd(net.gradient(x, y, net.w + gamma * inverse @ g / (g @ inverse @ g).sqrt()))

    return step


def fsam(rho: float, sigma: float, decay: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        g = net.gradient(x, y, statistics=True)
        if "m" in net.kept:
            net.kept["m"] = decay * net.kept["m"] + (1 - decay) * g
            d = g - sigma * net.kept["m"]
        else:
            net.kept["m"] = d = g
        net.sgd(net.gradient(x, y, net.w + rho * unit(d)))

    return step


def gsam(rho: float, low: float, alpha: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        lr = 0.5 * (1 + cos(pi * net.number / TOTAL))  # the test's learning rate, of which its optimizer knows nothing
        g = net.gradient(x, y, statistics=True)
        up = net.gradient(x, y, net.w + (low + (rho - low) * lr) * unit(g))
        along = (g @ up) / (up @ up) * up
        net.sgd(up - alpha * (g - along))

    return step


def rsam(rho: float, sigma: float, mix: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        delta = sigma * net.each(filter_norm) * net.normal()
        psi = delta + mix * net.gradient(x, y, net.w + delta, statistics=True)
        net.sgd(net.gradient(x, y, net.w + rho * unit(psi)))

    return step


def looksam(rho: float, k: int, alpha: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        g = net.gradient(x, y, statistics=True)
        if net.number % k:
            v = net.kept["v"]
            net.sgd(g + alpha * g.norm() / v.norm() * v)
            return
        up = net.gradient(x, y, net.w + rho * unit(g))
        net.kept["v"] = up - (g @ up) / (g @ g) * g
        net.sgd(up)

    return step


def esam(rho: float, beta: float, gamma: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        before = net.loss(x, y, statistics=True)
        chance, g = net.chance, net.kept.pop("gradient")
        mask = net.each(lambda name, part: (chance.uniform(name, (1,)) < beta).double())
        delta = rho / beta * unit(mask * g)
        rises = net.loss(x, y, net.w + delta) - before
        most = rises.argsort(descending=True)[: round(gamma * len(y))].sort().values
        net.sgd(net.gradient(x[most], y[most], net.w + delta))

    return step


def aesam(rho: float, decay: float, low: float, high: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        g = net.gradient(x, y, statistics=True)
        square = float(g @ g)
        mean = decay * net.kept.get("mean", square) + (1 - decay) * square
        variance = decay * net.kept.get("variance", 0.0) + (1 - decay) * (square - mean) ** 2
        net.kept |= {"mean": mean, "variance": variance}
        t = net.number / TOTAL
        climbs = square >= mean + (t * low + (1 - t) * high) * sqrt(variance)
        net.kept.setdefault("climbed", []).append(climbs)
        net.sgd(net.gradient(x, y, net.w + rho * unit(g)) if climbs else g)

    return step


def fisher_mask(rho: float, sparsity: float, samples: int, together: int) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        if net.number % PER_EPOCH == 0:
            starts = range(0, samples * together, together)
            squares = sum(net.gradient(x[i : i + together], y[i : i + together]) ** 2 for i in starts)
            kept = len(net.w) - round(sparsity * len(net.w))
            net.kept["mask"] = torch.zeros_like(net.w)
            net.kept["mask"][squares.argsort(descending=True)[:kept]] = 1.0
        g = net.gradient(x, y, statistics=True)
        net.sgd(net.gradient(x, y, net.w + rho * unit(g) * net.kept["mask"]))

    return step


def sampa(rho: float, mix: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        if "y" not in net.kept:  # the point y starts at x, and its gradient is the first pass
            net.kept["y"] = net.gradient(x, y, statistics=True)
            there = net.gradient(x, y, net.w + rho * unit(net.kept["y"]))
        else:
            there = net.gradient(x, y, net.w + rho * unit(net.kept["y"]), statistics=True)
        ahead = net.w - LR * net.kept["y"]
        net.kept["y"] = net.gradient(x, y, ahead)
        net.sgd((1 - mix) * there + mix * net.kept["y"])

    return step


def bsam(parts: int, images: int, rho: float = 0.01, alpha: float = 0.5) -> Oracle:
    number, b1, b2, damping = images * 4.0, 0.9, 0.999, 0.1
    prior = 40 / number

    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        lr = 0.5 * (1 + cos(pi * net.number / TOTAL))
        s, m = net.kept.get("s", torch.ones_like(net.w)), net.kept.get("m", torch.zeros_like(net.w))
        root, up, chance = torch.zeros_like(s), torch.zeros_like(s), net.chance
        edges = [len(y) * part // parts for part in range(parts + 1)]
        for part in range(parts):
            rows = slice(edges[part], edges[part + 1])
            z = net.normal(chance.sample(part) if part else chance)  # type: ignore[arg-type]
            g = net.gradient(x[rows], y[rows], net.w + z / (number * s).sqrt(), statistics=parts == 1)
            up += net.gradient(x[rows], y[rows], net.w + rho * g / s) / parts
            root += s.sqrt() * g.abs() / parts
        if parts > 1:
            net.gradient(
                x, y, statistics=True
            )  # no pass covers the whole batch, so that one is made for the statistics
        m = b1 * m + (1 - b1) * (up + prior * net.w)
        net.w = net.w - alpha * lr * m / s
        net.kept |= {"m": m, "s": b2 * s + (1 - b2) * (root + damping + prior)}

    return step


def awp(gamma: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        g = net.gradient(x, y, statistics=True)
        proxy = 0.01 * g  # one ascent step of the proxy
        sizes = net.each(lambda name, part: part.norm() if "weight" in name and part.ndim > 1 else 0.0)
        v = gamma * sizes * proxy / net.each(lambda name, part: part.norm(), proxy)
        net.sgd(net.gradient(x, y, net.w + v), decay_at=net.w + v)

    return step


def noisy(scale: Callable[[Plain], Tensor], parts: int = 1, after: Callable[[Plain], None] | None = None) -> Oracle:
    """The gradient at w + scale · z, of parts of the batch with z of their own."""

    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        total, chance = torch.zeros_like(net.w), net.chance
        edges = [len(y) * part // parts for part in range(parts + 1)]
        for part in range(parts):
            rows = slice(edges[part], edges[part + 1])
            z = net.normal(chance.sample(part) if part else chance)  # type: ignore[arg-type]
            share = (edges[part + 1] - edges[part]) / len(y)
            total += share * net.gradient(x[rows], y[rows], net.w + scale(net) * z, statistics=parts == 1)
        if parts > 1:
            net.gradient(x, y, statistics=True)
        net.sgd(total)
        if after:
            after(net)

    return step


def lpf_sgd(gamma: float, increase: float, parts: int) -> Oracle:
    def scale(net: Plain) -> Tensor:
        return gamma * (1 + (increase - 1) * (1 - cos(pi * net.number / TOTAL)) / 2) * net.each(filter_norm)

    return noisy(scale, parts)


def adaptive(net: Plain, sigma: float, eta: float) -> Tensor:
    if "s" not in net.kept:
        return sigma * net.each(filter_norm)
    sums = net.each(lambda name, part: part.sum(1, keepdim=True) if part.ndim == 2 else part, net.kept["s"])
    return sigma * net.each(filter_norm) / (1 + eta * sums).sqrt()


def arwp(sigma: float, eta: float, decay: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        g = net.gradient(x, y, net.w + adaptive(net, sigma, eta) * net.normal(), statistics=True)
        net.kept["s"] = decay * net.kept.get("s", 0.0) + g**2
        net.sgd(g)

    return step


def m_rwp(sigma: float, mix: float, eta: float = 0.0, decay: float = 0.0) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        further, labels = net.batches[net.number]
        clean = net.gradient(x, y, statistics=True)
        g = net.gradient(further, labels, net.w + adaptive(net, sigma, eta) * net.normal())
        net.kept["s"] = decay * net.kept.get("s", 0.0) + g**2
        net.sgd(mix * g + (1 - mix) * clean)

    return step


def anti_pgd(sigma: float) -> Oracle:
    """w ← w - η∇L(w) + ξ' - ξ itself; the network holds z = w - ξ between the steps, which weight decay acts on."""

    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        xi = sigma * net.normal()
        w = net.kept["w"] + xi - net.kept["xi"] if "w" in net.kept else net.w + xi
        gradient = net.gradient(x, y, w, statistics=True) + DECAY * (w - xi)
        net.velocity = gradient if net.velocity is None else MOMENTUM * net.velocity + gradient
        w = w - LR * net.velocity
        net.kept |= {"w": w, "xi": xi}
        net.w = w - xi

    return step


def gradient_noise(eta: float, gamma: float) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        g = net.gradient(x, y, statistics=True)
        net.sgd(g + sqrt(eta / (1 + net.number) ** gamma) * net.normal())

    return step


def held(net: Plain, deviations: float) -> None:
    def clipped(name: str, part: Tensor) -> Tensor:
        bound = deviations * (part**2).mean().sqrt() if part.ndim > 1 else torch.tensor(torch.inf)
        return part.clamp(-bound, bound)

    net.w = net.each(clipped)


def hardware_aware(sigma: float, deviations: float) -> Oracle:
    def scale(net: Plain) -> Tensor:
        return sigma * net.each(lambda name, part: part.abs().amax(1, keepdim=True) if part.ndim > 1 else 0.0)

    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        chance = net.chance
        z = net.each(lambda name, part: chance.normal(name, part.shape).double() if part.ndim > 1 else 0.0)
        net.sgd(net.gradient(x, y, net.w + scale(net) * z, statistics=True))
        held(net, deviations)

    return step


def damp(sigma: float, parts: int) -> Oracle:
    return noisy(lambda net: sigma * net.w, parts)


def entropy_sgd(steps: int, inner: float, scope: float, noise: float, keep: float) -> Oracle:
    """The outer optimizer has a learning rate of 1 and Nesterov's momentum of 0.9."""

    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        lr = 0.5 * (1 + cos(pi * net.number / TOTAL))
        outer, number = divmod(net.number, steps)
        if number == 0:
            net.kept |= {"w": net.w, "mean": net.w}
        g = net.gradient(x, y, statistics=True) - scope * 1.001**outer * (net.kept["w"] - net.w)
        net.w = net.w - inner * lr * g + noise * sqrt(2 * inner * lr) * net.normal()
        net.kept["mean"] = keep * net.kept["mean"] + (1 - keep) * net.w
        if number == steps - 1:
            away = net.kept["w"] - net.kept["mean"]
            net.velocity = away if net.velocity is None else 0.9 * net.velocity + away
            net.w = net.kept["w"] - lr * (away + 0.9 * net.velocity)

    return step


def noisy_machines(eta: float, labels: float, temperature: float, switch: int) -> Oracle:
    def step(net: Plain, x: Tensor, y: Tensor) -> None:
        if net.number == switch:
            net.kept["teacher"] = (net.w, {name: b.clone() for name, b in net.model.named_buffers()})
        if net.number < switch:
            net.sgd(net.gradient(x, y, statistics=True))
            return
        weights, statistics = net.kept["teacher"]
        here, now = net.w, {name: b.clone() for name, b in net.model.named_buffers()}
        net.w = weights
        for name, buffer in net.model.named_buffers():
            buffer.copy_(statistics[name])
        told = softmax(net.model.eval()(x).detach() / temperature, 1)
        net.model.train()
        for name, buffer in net.model.named_buffers():
            buffer.copy_(now[name])
        chance = net.chance
        z = net.each(lambda name, part: chance.normal(name, part.shape).double() if part.ndim > 1 else 0.0)
        width = net.each(lambda name, part: part.max() - part.min(), here)
        net.w = here + eta * width * z
        logits = net.model(x)
        apart = kl_div(log_softmax(logits / temperature, 1), told, reduction="batchmean")
        loss = labels * cross_entropy(logits, y) + (1 - labels) * temperature**2 * apart
        gradient = torch.autograd.grad(loss, list(net.model.parameters()))
        net.w = here
        net.sgd(torch.cat([g.flatten() for g in gradient]))

    return step
