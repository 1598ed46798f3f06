"""What judging under noise costs, against passes without noise, the hardware's peak, and what people run today."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nrbench import Images
from nrbench.families.network import Network
from nrbench.families.probe import Scoring
from nrbench_noise import Gaussian
from tests.benchmarks import references
from tests.benchmarks.conftest import Bench
from tests.benchmarks.models import CHIPS, RECIPE, data, images, network, small_images, small_network
from tests.benchmarks.own_process import alone, peak

DRAWS, COUNT = 10, 2000


@pytest.fixture(scope="module")
def ready() -> Network:
    return network()


def noisy(ready: Network, of: Images, draws: int) -> list[int]:
    """Right answers of `draws` noisy copies, as a job counts them."""
    noise = Gaussian(sigma=0.05)
    return [ready.under(noise, CHIPS.chip("report", draw)).counts(of) for draw in range(draws)]


def test_noisy_pass_against_clean(bench: Bench, ready: Network) -> None:
    """A pass over 2,000 images on a noisy copy, the noise included, ÷ a pass without noise."""
    many = images(COUNT)
    times = bench.times(lambda: noisy(ready, many, 1), lambda: ready.counts(many), rounds=DRAWS)
    bench.figure("noisy pass ÷ clean pass", [ours / clean for ours, clean in times], "≤ 1.10")


def test_noisy_evaluation_against_naive(bench: Bench, ready: Network) -> None:
    """A deep copy for each draw, a DataLoader and float32 ÷ ours: 512 images, 2 draws."""
    few, draws = images(512), 2
    floats = data(few).normalise(few.images).contiguous()
    plain = copy.deepcopy(ready.model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    theirs = partial(references.noisy_accuracy, plain, floats, few.labels, sigma=0.05, draws=draws)
    times = bench.times(partial(noisy, ready, few, draws), theirs, rounds=3)
    bench.figure("naive noisy evaluation ÷ ours", [naive / ours for ours, naive in times], "≥ 2.3")


def test_throughput_against_peak(bench: Bench, ready: Network) -> None:
    """Arithmetic of a clean pass each second ÷ that of a large matrix product in the same precision."""
    many, size = images(1000), 2048
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        ready.model(torch.zeros(1, 3, 32, 32))
    dtype = torch.bfloat16 if RECIPE.precision == "bfloat16" else torch.float32
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    times = bench.times(lambda: ready.counts(many), lambda: [a @ b for _ in range(8)], rounds=5)
    work = counter.get_total_flops() * len(many) / (8 * 2 * size**3)
    bench.figure(f"clean pass ÷ {RECIPE.precision} matrix product, FLOP/s", [work * b / a for a, b in times], "≥ 0.85")


def test_selection_against_full_draws(bench: Bench) -> None:
    """Scoring an epoch with 10 draws over all held-out images ÷ scoring it with 50 draws over a fiftieth each."""
    ready, held_out = small_network(), data(small_images(1000), 10).splits
    noise = Gaussian(sigma=0.1)
    scoring = Scoring(draws=50, noise=noise)

    def full() -> None:
        for draw in range(DRAWS):
            ready.under(noise, CHIPS.chip("selection", draw)).counts(held_out["validation"])

    times = bench.times(lambda: scoring.measured(ready, held_out, CHIPS), full, rounds=5)
    bench.figure("selection by 10 full draws ÷ by 50 split draws", [other / ours for ours, other in times], "≥ 1")


def memory(draws: int) -> float:
    """Return the most memory of a process that makes six passes, so many of them noisy."""
    torch.set_num_threads(1)
    ready, few = network(), images(500)
    for _ in range(6 - draws):
        ready.counts(few)
    noisy(ready, few, draws)
    return peak()


def test_memory_of_noisy_evaluation(bench: Bench, ready: Network) -> None:
    """Memory of five noisy passes on top of as many clean ones, in sizes of the model, each in a process of its own."""
    model = sum(tensor.nbytes for tensor in ready.model.state_dict().values()) / 2**20
    bench.alone(lambda: None)
    more = [(alone(memory, 5) - alone(memory, 0)) / model for _ in range(3)]
    bench.figure("memory of noisy - of clean passes, in models", more, "≤ 2")
