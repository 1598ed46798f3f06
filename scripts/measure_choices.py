"""Measure the choices of docs/decisions/0007: each as a ratio inside one run, on one thread.

python scripts/measure_choices.py
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nrbench_backbones import ResNet

Work = Callable[[], object]
Measured = tuple[str, float]
"""What was measured, as a sentence, and its value."""
ROUNDS = {8: 60, 18: 9}
"""How often two kinds of work are timed beside each other, by the depth of the network."""


def network(depth: int, *, channels_last: bool = True) -> tuple[nn.Module, Tensor]:
    """Return a network for evaluation and images for it."""
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    backbone = ResNet(depth=depth, stem_stride=2 if depth == 8 else 1)
    model = backbone.build(num_classes=10, input_shape=(3, 32, 32)).eval().to(memory_format=layout)  # type: ignore[call-overload]
    return model, torch.randn(128, 3, 32, 32).to(memory_format=layout)


def folded(model: nn.Module) -> nn.Module:
    """Return a copy with each BatchNorm folded into the convolution before it."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        children = list(parent.named_children())
        for (name, first), (following, second) in pairwise(children):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(first, second))
                setattr(parent, following, nn.Identity())
    return model


def judged(model: nn.Module, images: Tensor, *, cast: bool = True) -> Work:
    """Return a pass of an evaluation."""

    def work() -> object:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=cast):
            return model(images).sum().item()

    return work


def trained(model: nn.Module, images: Tensor) -> Work:
    """Return a forward and a backward pass."""
    model.train()
    labels = torch.arange(len(images)) % 10

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        model.zero_grad()

    return work


def ratio(work: Work, other: Work, rounds: int) -> float:
    """Return the median of `work` ÷ `other`, taken in turn."""
    work()
    other()
    ratios = []
    for _ in range(rounds):
        times = []
        for each in (work, other):
            start = time.perf_counter()
            each()
            times.append(time.perf_counter() - start)
        ratios.append(times[0] / times[1])
    return median(ratios)


def compiled(model: nn.Module, work: Callable[[nn.Module], Work]) -> tuple[float, Work]:
    """Return the seconds of the first call of some work with a compiled copy, and that work."""
    model = copy.deepcopy(model)
    model.compile()
    call = work(model)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start, call


def passes(depth: int, rounds: int) -> Iterator[Measured]:
    """Yield what changes the time of a pass of an evaluation."""
    model, images = network(depth)
    plain, square = network(depth, channels_last=False)
    pure, whole = folded(model).bfloat16(), judged(model, images)
    yield "pass, BatchNorm folded ÷ as it is", ratio(judged(folded(model), images), whole, rounds)
    half = judged(pure, images.bfloat16(), cast=False)
    yield "pass, folded and bfloat16 throughout ÷ as it is", ratio(half, whole, rounds)
    yield "pass, channels_last ÷ channels first", ratio(whole, judged(plain, square), rounds)
    for size in (32, 64):
        parts = [judged(model, part) for part in images.split(size)]
        yield f"pass, {size} images at a time ÷ 128", ratio(lambda parts=parts: [p() for p in parts], whole, rounds)  # type: ignore[misc]
    seconds, work = compiled(model, lambda model: judged(model, images))
    yield "pass, seconds to compile", seconds
    yield "pass, compiled ÷ as it is", ratio(work, whole, rounds)


def steps(depth: int, rounds: int) -> Iterator[Measured]:
    """Yield what changes the time of a training step."""
    model, images = network(depth)
    plain, square = network(depth, channels_last=False)
    whole = trained(model, images)
    yield "step, channels_last ÷ channels first", ratio(whole, trained(plain, square), rounds)
    seconds, work = compiled(model, lambda model: trained(model, images))
    yield "step, seconds to compile", seconds
    yield "step, compiled ÷ as it is", ratio(work, whole, rounds)


def frozen(depth: int, rounds: int) -> Iterator[Measured]:
    """Yield what a pass gains that is compiled for weights that never change."""
    import torch._inductor.config as inductor

    model, images = network(depth)
    torch._dynamo.reset()
    inductor.freezing = True
    seconds, work = compiled(model, lambda model: judged(model, images))
    yield "pass, seconds to compile with frozen weights", seconds
    yield "pass, compiled with frozen weights ÷ as it is", ratio(work, judged(model, images), rounds)
    inductor.freezing = False
    torch._dynamo.reset()


def main() -> None:
    """Print a line for each choice and network."""
    torch.set_num_threads(1)
    for depth, rounds in ROUNDS.items():
        for what, value in chain(passes(depth, rounds), steps(depth, rounds), frozen(depth, rounds)):
            print(f"ResNet-{depth:<4}{what:58}{value:6.2f}", flush=True)


if __name__ == "__main__":
    main()
