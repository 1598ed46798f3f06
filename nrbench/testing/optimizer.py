"""Checks of optimizers."""

from __future__ import annotations

import torch

from nrbench.families.optimizer import Optimizer
from nrbench.testing.method import check_method_survives_a_checkpoint
from nrbench.testing.samples import Plain


def check_optimizer_moves_the_weights(optimizer: Optimizer) -> None:
    """A step moves every weight that has a gradient, and a learning rate of 0 moves none."""
    for lr in (optimizer.lr, 0.0):
        weight = torch.nn.Parameter(torch.ones(3))
        mover = optimizer.build([weight])
        for group in mover.param_groups:
            group["lr"] = lr
        weight.grad = torch.ones(3)
        mover.step()
        assert bool((weight != 1).all()) == (lr > 0), f"at a learning rate of {lr:g} the weights are {weight.tolist()}"


def check_optimizer_survives_a_checkpoint(optimizer: Optimizer) -> None:
    """Stopped after an epoch and resumed, a training ends with bit-equal weights."""
    check_method_survives_a_checkpoint(Plain(optimizer=optimizer))


CHECKS = (check_optimizer_moves_the_weights, check_optimizer_survives_a_checkpoint)
