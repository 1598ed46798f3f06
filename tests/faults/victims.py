"""Runs that are made to die, and the suite that they run."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import nrbench
from nrbench import Options, Suite
from nrbench.base import disk

SUITE = """\
name: victim
seeds: 1
draws: 2
datasets: {synthetic: {name: synthetic, train_size: 64, test_size: 32}}
backbones: {MLP: {name: mlp, hidden: [4]}}
recipe: {epochs: 3, batch_size: 32, augment: [], keep_epochs: 0, optimizer: {name: sgd, lr: 0.05}}
selections: {chosen: {name: best_epoch, draws: 4}, last: {name: last}}
methods: {SGD: {name: sgd}, RWP: {name: rwp, sigma: 0.1}}
noise: {clean: {name: none}, Gaussian: {name: gaussian, sigma: 0.2}}
"""
DEAD = 99


def in_child(work: Callable[[], Any]) -> int:
    """Do work in a forked process, which shares our imports, and return its exit code: 0, an error's, or DEAD."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        torch.set_num_threads(1)
        work()
        os._exit(0)
    except nrbench.NrbenchError as error:
        os._exit(error.exit_code)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def run(suite: Suite, out: Path) -> None:
    """Run the suite in this process."""
    nrbench.run(suite, options=Options(out=out))


def board(out: Path) -> bytes:
    """The bytes of the leaderboard."""
    return (out / "victim" / "leaderboard.json").read_bytes()


def at_step(number: int, happen: Callable[[], None], *, after: bool = False) -> Callable[[], int]:
    """Make something happen before, or after, the n-th operation on the disk; return what counts the operations."""
    count = 0

    def watched(step: Callable[..., None]) -> Callable[..., None]:
        def operation(*arguments: Any) -> None:
            nonlocal count
            count += 1
            mine = count == number
            if mine and not after:
                happen()
            step(*arguments)
            if mine and after:
                happen()

        return operation

    for name in disk.STEPS:
        setattr(disk, name, watched(getattr(disk, name)))
    return lambda: count


def operations(suite: Suite, out: Path) -> int:
    """The number of operations on the disk of a whole run."""
    reader, writer = os.pipe()

    def counted() -> None:
        count = at_step(0, lambda: None)
        run(suite, out)
        os.write(writer, str(count()).encode())

    assert in_child(counted) == 0
    return int(os.read(reader, 100))
