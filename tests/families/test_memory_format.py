"""Memory formats: no kind of convolution that a run computes in channels_last is computed wrongly."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import pytest
import torch
from torch import nn

from nrbench import Training
from nrbench.families.memory_format import lay_out, takes_channels_last
from nrbench.jobs.data import Data
from nrbench.jobs.job import evaluation_network
from nrbench.jobs.train import initial_model
from nrbench_backbones import ResNet
from tests.benchmarks.models import RECIPE, data, images

STEPS, CHANNELS = 300, (1, 2, 3, 4, 6, 8, 12, 16)


def kinds() -> list[nn.Conv2d]:
    """Convolutions of 1×1 and 3×3, stride 1 and 2, from 1 to 16 channels, plain, in two groups and each channel for itself."""
    found = []
    for size, stride, channels in product((1, 3), (1, 2), CHANNELS):
        for groups in sorted({1, 2 if channels % 2 == 0 else 1, channels}):
            outputs = 16 if 16 % groups == 0 else 2 * groups
            found.append(nn.Conv2d(channels, outputs, size, stride, size // 2, groups=groups))
    return found


def worst(convolution: nn.Conv2d, memory_format: torch.memory_format) -> float:
    """The largest difference of a gradient from float64's in 300 steps, in units of the largest of it; every 30th is compared."""
    exact = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        convolution.stride,  # type: ignore[arg-type]
        convolution.padding,  # type: ignore[arg-type]
        groups=convolution.groups,
    ).double()
    exact.load_state_dict(convolution.state_dict())
    lay_out(convolution, memory_format)
    largest = 0.0
    for step in range(STEPS):
        x = torch.randn(8, convolution.in_channels, 8, 8).contiguous(memory_format=memory_format).requires_grad_()
        y = convolution(x)
        slope = torch.randn(y.shape).contiguous(memory_format=memory_format)
        convolution.zero_grad()
        y.backward(slope)
        if step % 30:
            continue
        z = x.detach().double().contiguous().requires_grad_()
        exact.zero_grad()
        exact(z).backward(slope.double().contiguous())
        for ours, theirs in ((x.grad, z.grad), (convolution.weight.grad, exact.weight.grad)):
            assert ours is not None
            assert theirs is not None
            largest = max(largest, float((ours.double() - theirs).abs().max() / theirs.abs().max()))
    return largest


def compare() -> None:
    """Print the kinds that differ from float64 in the memory format that a run takes for them."""
    torch.set_num_threads(1)
    for convolution in kinds():
        memory_format = torch.channels_last if takes_channels_last(convolution) else torch.contiguous_format
        if worst(convolution, memory_format) > 1e-4:
            print(convolution)


def test_every_kind_of_convolution_is_computed_rightly() -> None:
    """300 steps of each in the memory format that a run takes for it agree with float64, and overwrite nothing."""
    code = "from tests.families.test_memory_format import compare; compare()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]


@pytest.mark.parametrize(("width", "taken"), [(4, False), (16, True)])
def test_a_network_is_computed_in_the_format_that_is_right_for_all_of_it(width: int, taken: bool) -> None:
    """A ResNet whose shortcuts have 4 channels is contiguous with its images, one of 16 is in channels_last, on every CPU."""
    few: Data = data(images(2), 10)
    training = Training(None, ResNet(depth=10, width=width), None, RECIPE, seed=0)  # type: ignore[arg-type]
    model = initial_model(training, few)
    assert takes_channels_last(model) is taken
    weight = next(p for p in model.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[-1] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last) is taken
    network = evaluation_network(training, few)
    assert network.prepare(few.train.images).is_contiguous(memory_format=torch.channels_last) is taken
