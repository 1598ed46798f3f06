from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nrbench import DataError, Registry, SuiteError, load_suite
from nrbench_backbones import Timm, Torchvision
from nrbench_backbones.stem import fitted

SUITE = """\
name: trial
seeds: 1
draws: 1
datasets: {images: {name: synthetic, channels: 3, size: 16}}
backbones: {net: NET}
recipe: {epochs: 1, augment: []}
methods: {SGD: {name: sgd}}
noise: {G: {name: gaussian}}
selections: {last: {name: last}}
"""


def message(write: Callable[..., Path], registry: Registry, text: str, *settings: str) -> str:
    path = write(text)
    try:
        load_suite(path, registry, data=path.parent, settings=settings)
    except (SuiteError, DataError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("{name: timm, model: vit_tiny_patch16_224}", ""),
        ("{name: timm, model: resnet18, arguments: {drop_rate: 0.1}}", ""),
        ("{name: timm, model: resnet18, arguments: {drop_rat: 0.1}}", "did you mean 'drop_rate'"),
        (
            "{name: timm, model: vit_tiny_patch16_224, arguments: {img_size: 224}}",
            "on images of images, 3×16×16",
        ),
        ("{name: torchvision, model: regnet_y_400mf}", ""),
        ("{name: torchvision, model: vit_b_32}", "on images of"),
        ("{name: timm, model: nf_resnet26}", "computes another weight from its own in each pass"),
        ("{name: mlp, hidden: [-1]}", "greater than"),
    ],
)
def test_what_validate_accepts_runs(
    write_suite: Callable[..., Path], registry: Registry, network: str, expected: str
) -> None:
    """A network that cannot be built for the images, or whose weights are not what it multiplies with, is an error there."""
    found = message(write_suite, registry, SUITE.replace("NET", network))
    assert expected in found
    assert bool(found) == bool(expected)
    if found:
        assert "suite.yaml:5:" in found


def test_weights_and_layers_are_compared_too(
    write_suite: Callable[..., Path], registry: Registry, tmp_path: Path
) -> None:
    """Weights of another network and a layer that is not there are found before anything is trained, at their lines."""
    save_file({"a.weight": torch.zeros(2, 2)}, tmp_path / "w.safetensors")
    text = SUITE.replace("NET", "{name: mlp, hidden: [4]}").replace(
        "SGD: {name: sgd}", "mine: {name: trained, files: [w.safetensors]}"
    )
    found = message(write_suite, registry, text)
    assert "suite.yaml:7:" in found
    assert "its weights do not fit net on images" in found
    text = SUITE.replace("NET", "{name: mlp, hidden: [4]}").replace(
        "{name: gaussian}", "{name: gaussian, scale: {layers: {digital: [nowhere]}}}"
    )
    found = message(write_suite, registry, text)
    assert "suite.yaml:8:" in found
    assert "no layer is called 'nowhere'" in found


def test_a_teacher_of_another_network_is_found(
    write_suite: Callable[..., Path], registry: Registry, tmp_path: Path
) -> None:
    """A teacher's file that is not of the suite's network is an error at its method's line, also where a wrapper is around it."""
    save_file({"a.weight": torch.zeros(2, 2)}, tmp_path / "w.safetensors")
    taught = "{name: clipped, method: {name: noisy_machines, teacher: w.safetensors}}"
    text = SUITE.replace("NET", "{name: mlp, hidden: [4]}").replace("SGD: {name: sgd}", f"taught: {taught}")
    found = message(write_suite, registry, text)
    assert "suite.yaml:7:" in found
    assert "its teacher is no network of net on images" in found
    assert "1 unknown: a.weight" in found


def test_unreadable_data_are_found(write_suite: Callable[..., Path], registry: Registry, tmp_path: Path) -> None:
    """An archive that lacks an array is an error of the suite, at the line of its data set."""
    np.savez(tmp_path / "own.npz", train_images=np.zeros((4, 8, 8), np.uint8))
    text = SUITE.replace("NET", "{name: mlp, hidden: [4]}").replace(
        "{name: synthetic, channels: 3, size: 16}", "{name: npz, file: own.npz}"
    )
    found = message(write_suite, registry, text)
    assert "suite.yaml:4:" in found
    assert "lacks the arrays" in found


def test_a_stem_for_other_colours_is_like_the_one_it_replaces() -> None:
    """Kernel, stride, padding, dilation, its mode and the bias stay; only the number of colours is another."""
    like = torch.nn.Conv2d(3, 8, (5, 3), (2, 1), (0, 2), (1, 2), padding_mode="circular")
    new = fitted(torch.nn.Sequential(like), channels=1, cifar_stem=False)[0]  # type: ignore[index]
    kept = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode", "out_channels")
    assert all(getattr(new, name) == getattr(like, name) for name in kept)
    assert (new.in_channels, new.bias is None) == (1, False)


def test_networks_are_made_for_the_size_of_the_images() -> None:
    """The size of images reaches timm and torchvision, and heads that only training uses are left out."""
    images = torch.rand(2, 3, 96, 96)
    for backbone in (
        Timm(model="vit_tiny_patch16_224"),
        Torchvision(model="vit_b_32"),
        Torchvision(model="googlenet"),
    ):
        model = backbone.build(num_classes=5, input_shape=(3, 96, 96)).train()
        assert model(images).shape == (2, 5)
