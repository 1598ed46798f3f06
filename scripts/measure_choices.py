"""Measure the choices of docs/decisions/0007: each as a ratio inside one run, on one thread.

python scripts/measure_choices.py
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nrbench_backbones import ResNet

Work = Callable[[], object]


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


def main() -> None:
    """Print a line for each choice and network."""
    torch.set_num_threads(1)
    for depth, rounds in ((8, 60), (18, 9)):
        model, images = network(depth)
        plain, square = network(depth, channels_last=False)
        pure = folded(model).bfloat16()

        def show(what: str, value: float, depth: int = depth) -> None:
            print(f"ResNet-{depth:<4}{what:58}{value:6.2f}", flush=True)

        show("pass, BatchNorm folded ÷ as it is", ratio(judged(folded(model), images), judged(model, images), rounds))
        half = judged(pure, images.bfloat16(), cast=False)
        show("pass, folded and bfloat16 throughout ÷ as it is", ratio(half, judged(model, images), rounds))
        show("pass, channels_last ÷ channels first", ratio(judged(model, images), judged(plain, square), rounds))
        for size in (32, 64):
            parts = [judged(model, part) for part in images.split(size)]
            whole = judged(model, images)
            show(f"pass, {size} images at a time ÷ 128", ratio(lambda parts=parts: [p() for p in parts], whole, rounds))  # type: ignore[misc]
        compiled = copy.deepcopy(model)
        compiled.compile()
        start = time.perf_counter()
        judged(compiled, images)()
        show("pass, seconds to compile", time.perf_counter() - start)
        show("pass, compiled ÷ as it is", ratio(judged(compiled, images), judged(model, images), rounds))
        show("step, channels_last ÷ channels first", ratio(trained(model, images), trained(plain, square), rounds))
        compiled = copy.deepcopy(model).train()
        compiled.compile()
        start = time.perf_counter()
        trained(compiled, images)()
        show("step, seconds to compile", time.perf_counter() - start)
        show("step, compiled ÷ as it is", ratio(trained(compiled, images), trained(model, images), rounds))
        import torch._inductor.config as inductor

        inductor.freezing = True
        torch._dynamo.reset()
        frozen = copy.deepcopy(model).eval()
        frozen.compile()
        start = time.perf_counter()
        judged(frozen, images)()
        show("pass, seconds to compile with frozen weights", time.perf_counter() - start)
        show(
            "pass, compiled with frozen weights ÷ as it is",
            ratio(judged(frozen, images), judged(model.eval(), images), rounds),
        )
        inductor.freezing = False
        torch._dynamo.reset()


if __name__ == "__main__":
    main()
