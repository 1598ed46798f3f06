"""The peak memory of an evaluation, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource


def _measure(draws: int, results: multiprocessing.Queue[float]) -> None:
    import torch

    from nrbench.perturbation import NONE
    from nrbench_noise import Gaussian
    from tests.benchmarks.models import images, judge

    torch.set_num_threads(1)
    ready, _ = judge()
    if draws < 0:
        results.put(sum(tensor.nbytes for tensor in ready.model.state_dict().values()))
        return
    data, weights = images(500), ready.weights()
    ready.count(NONE, data)
    for chip in ready.chips("report", draws):
        ready.count(ready.displacement(Gaussian(sigma=0.05), weights, chip), data)
    results.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def peak(draws: int) -> float:
    """Return the peak memory in bytes of a clean pass and so many noisy ones; the size of the model for -1."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[float] = context.Queue()
    process = context.Process(target=_measure, args=(draws, results))
    process.start()
    found = results.get(timeout=120)
    process.join()
    return found
