"""Checks of backbones."""

from __future__ import annotations

import torch
from torch import Tensor

from nrbench.families.backbone import Backbone
from nrbench.testing.samples import same


def check_backbone_maps_images_to_logits(backbone: Backbone) -> None:
    """Images of a batch become one row of finite logits each, and every weight takes part."""
    for shape in _accepted_shapes(backbone):
        model = backbone.build(num_classes=7, input_shape=shape)
        logits = model(torch.randn(4, *shape))
        assert logits.shape == (4, 7), f"4 images and 7 classes give {tuple(logits.shape)}"
        assert logits.isfinite().all(), "the logits are not finite"
        logits.sum().backward()
        unused = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not unused, f"the output does not depend on {unused}"


def check_backbone_is_built_from_the_seed(backbone: Backbone) -> None:
    """The same seed of torch's default generator gives the same weights, another seed others."""
    first, again, other = (_built(backbone, seed) for seed in (0, 0, 1))
    assert same(first, again), "one seed gives two networks: draw from torch's default generator"
    assert not same(first, other), "two seeds give one network"


def _built(backbone: Backbone, seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return backbone.build(num_classes=4, input_shape=_accepted_shapes(backbone)[0]).state_dict()


def _accepted_shapes(backbone: Backbone) -> list[tuple[int, int, int]]:
    """Return the shapes of usual images that a backbone does not refuse with a ValueError."""
    accepted = []
    for shape in ((3, 32, 32), (1, 28, 28), (3, 64, 64), (3, 224, 224)):
        try:
            backbone.build(num_classes=2, input_shape=shape)
        except ValueError:
            continue
        accepted.append(shape)
    assert accepted, "it takes no images of 1×28×28, 3×32×32, 3×64×64 or 3×224×224"
    return accepted[:2]


CHECKS = (check_backbone_maps_images_to_logits, check_backbone_is_built_from_the_seed)
