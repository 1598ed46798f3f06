"""The third oracle: what is stored of a training is what was trained and judged, in a network built afresh."""

from __future__ import annotations

import torch

from nrbench.families.displacement import Weights
from nrbench.families.network import Network
from nrbench.jobs.data import Data
from nrbench.jobs.device import autocast
from nrbench.jobs.train import Trained, initial_model
from nrbench.suite.cell import Training
from nrbench.suite.passes import differ

COMPARED = 100
"""Images whose logits are compared: 0.2 % of the time of the quickstart's shortest training."""
ROUNDING = 1e-3
"""How far logits of the same weights may differ, in units of the largest: a weight may be computed in another order."""


def check_trained(trained: Trained, network: Network, data: Data) -> bool:
    """Return whether a trained network computes anything finite without noise.

    Raise `ValueError` where it answers otherwise than a network that its weights are loaded into. A method that is judged by
    other weights than its network's, such as an average, has nothing to compare.
    """
    if trained.training.method.evaluation_weights(trained.state) is not None:
        return True
    images = data.splits["test"][:COMPARED]
    batch = network.prepare(images.images)
    with torch.inference_mode(), network.autocast():
        own = trained.model(batch).float()
    if trained.training.epochs and not own.isfinite().any():
        return False
    if differ(own, network.logits(images), ROUNDING):
        raise ValueError(
            "the network that was trained gives other logits than one that its weights are loaded into: it remembers "
            "something of its training that its parameters and buffers do not say"
        )
    return True


def check_judged(training: Training, weights: Weights, data: Data, *, epoch: int, clean: int) -> None:
    """Raise `ValueError` where stored weights have another count of right answers in plain torch than where they were judged.

    They are loaded into a network built afresh; `clean` is the run's own count over the test images.
    """
    model, images = initial_model(training, data), data.splits["test"]
    prepare, cast = data.for_network(model).normalise, autocast(training.recipe, data.device)
    model.train()
    model.load_state_dict(dict(weights))
    model.eval()
    right, finite = 0, False
    parts = (torch.split(each, training.recipe.evaluation_batch) for each in (images.images, images.labels))
    with torch.inference_mode():
        for batch, labels in zip(*parts, strict=True):
            with cast():
                logits = model(prepare(batch))
            right += int(((logits.argmax(1) == labels) & logits.isfinite().all(1)).sum())
            finite |= bool(logits.isfinite().any())
    if not finite:
        raise ValueError("no logit of it is finite without any noise")
    if right != clean:
        raise ValueError(
            f"the stored weights of epoch {epoch} give {right} right answers of {len(images)} in a network built afresh, and "
            f"{clean} where they were judged: what it computes is no function of its parameters and buffers"
        )
