"""What is known of a component once it is made: what of a network is stored, what is in a data set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from nrbench.base.component import Component
from nrbench.families.analog import inventory
from nrbench.families.backbone import Backbone
from nrbench.families.dataset import Dataset, load_splits
from nrbench.suite.trial import made_up_sample, tried

CLASSES, SHAPE = 10, (3, 32, 32)
"""What a network is made for to be shown."""


def facts(component: Component, data: Path) -> Iterator[str]:
    """Yield sentences about a backbone or a data set; nothing for other families. Raise what either raises."""
    if isinstance(component, Backbone):
        model, layout = tried(component, made_up_sample(CLASSES, SHAPE))
        kinds = inventory(layout.weights_of(model))
        digital = kinds.pop("digital", (0, 0))
        yield f"For images of {'×'.join(map(str, SHAPE))} and {CLASSES} classes:"
        for kind, (tensors, weights) in kinds.items():
            yield f"{weights:,} weights on the device in {tensors} tensors of {kind} layers"
        yield f"{digital[1]:,} weights digital in {digital[0]} tensors"
    if isinstance(component, Dataset):
        splits = load_splits(component, data)
        for name, part in (("training", splits.train), ("validation", splits.validation), ("test", splits.test)):
            if part is not None:
                counts = torch.bincount(part.labels, minlength=splits.num_classes).tolist()
                each = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
                yield f"{len(part):,} {name} images, {each} of each class"
        yield f"{splits.num_classes} classes" + (f": {', '.join(splits.class_names)}" if splits.class_names else "")
        yield f"images of {'×'.join(map(str, splits.input_shape))}"
        for what, values in (("mean", splits.mean), ("standard deviation", splits.std)):
            yield f"{what} {', '.join(f'{value:.4f}' for value in values)}, of the range 0 to 1"
