from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from nrbench import Backbone
from nrbench_backbones import MLP, ResNet, Timm, Torchvision, WideResNet
from nrbench_backbones.layers import groups


def parameters(backbone: Backbone, classes: int = 100, shape: tuple[int, int, int] = (3, 32, 32)) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in backbone.build(num_classes=classes, input_shape=shape).parameters())


@pytest.mark.parametrize(
    ("backbone", "classes", "count"),
    [
        (ResNet(depth=9), 100, 6_619_200),
        (ResNet(depth=10), 100, 4_949_412),
        (ResNet(depth=18), 100, 11_220_132),
        (ResNet(depth=18), 10, 11_173_962),
        (ResNet(depth=34), 100, 21_328_292),
        (ResNet(depth=50), 100, 23_705_252),
        (ResNet(depth=18, stem="imagenet"), 1000, 11_689_512),
        (ResNet(depth=50, stem="imagenet"), 1000, 25_557_032),
        (Torchvision(model="resnet18", cifar_stem=True), 100, 11_220_132),
        (Timm(model="resnet18", cifar_stem=True), 100, 11_220_132),
        (Torchvision(model="resnet50"), 1000, 25_557_032),
        (Timm(model="resnet50"), 1000, 25_557_032),
        (WideResNet(depth=16, width=5), 100, 4_318_644),
        (WideResNet(depth=16, width=10), 100, 17_174_324),
        (WideResNet(depth=16, width=15), 100, 38_567_604),
        (WideResNet(depth=16, width=8), 10, 10_961_370),
        (WideResNet(depth=28, width=10), 10, 36_479_194),
    ],
    ids=str,
)
def test_parameter_counts(backbone: Backbone, classes: int, count: int) -> None:
    """The published networks have their published numbers of parameters."""
    assert parameters(backbone, classes) == count


def test_depth_counts_layers() -> None:
    """The depth of a network is its number of convolutions and linear layers, projections aside."""
    for depth in (8, 10, 18, 34, 50):
        with torch.device("meta"):
            model = ResNet(depth=depth).build(num_classes=10, input_shape=(3, 32, 32))  # type: ignore[arg-type]
        layers = [name for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len([name for name in layers if "shortcut" not in name]) == depth


def test_resnet_equals_torchvisions() -> None:
    """With the ImageNet stem and torchvision's weights the output is torchvision's."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    for depth, build in ((18, torchvision.models.resnet18), (50, torchvision.models.resnet50)):
        ours = ResNet(depth=depth, stem="imagenet").build(num_classes=10, input_shape=(3, 64, 64)).eval()
        theirs = build(weights=None, num_classes=10).eval()
        state = theirs.state_dict()
        with torch.no_grad():
            for buffer in (value for name, value in state.items() if "running" in name):
                buffer.uniform_(0.5, 1.5)
            for kind in (nn.Conv2d, nn.BatchNorm2d, nn.Linear):
                mine = sorted(_shapes(ours, kind), key=str)
                assert mine == sorted(_shapes(theirs, kind), key=str)
            pairs = zip(_in_order(ours), _in_order(theirs), strict=True)
            for target, source in pairs:
                target.load_state_dict(source.state_dict())
            x = torch.randn(2, 3, 64, 64)
            assert torch.allclose(ours(x), theirs(x), atol=1e-5)


def _shapes(model: nn.Module, kind: type[nn.Module]) -> list[list[tuple[int, ...]]]:
    return [[tuple(p.shape) for p in m.parameters()] for m in model.modules() if isinstance(m, kind)]


def _in_order(model: nn.Module) -> list[nn.Module]:
    """The layers with parameters; both libraries register a block's body before its shortcut."""
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]


def test_strides() -> None:
    """A stem of stride 2 halves every feature map, and three stages halve twice."""
    model = ResNet(depth=8, stem_stride=2).build(num_classes=10, input_shape=(1, 28, 28))
    shapes = []
    x = torch.zeros(1, 1, 28, 28)
    for layer in list(model)[:4]:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(16, 14, 14), (16, 14, 14), (32, 7, 7), (64, 4, 4)]


@pytest.mark.parametrize("depth", [12, 17])
def test_a_wide_resnet_has_whole_blocks(depth: int) -> None:
    """A depth that is not 6n + 4 is refused with the nearest that are."""
    with pytest.raises(ValidationError, match="6n"):
        WideResNet(depth=depth)


def test_mlp_without_hidden_layers_is_linear() -> None:
    """No hidden layer is a linear classifier."""
    assert parameters(MLP(hidden=()), 10, (1, 4, 4)) == 16 * 10 + 10


@pytest.mark.parametrize("library", [Torchvision, Timm])
def test_networks_of_libraries_are_fitted_to_the_images(library: type[Torchvision | Timm]) -> None:
    """The stem for small images keeps their size up to the first stage, and takes as many colours as there are."""
    model = library(model="resnet18", cifar_stem=True).build(num_classes=7, input_shape=(1, 28, 28)).eval()
    seen = []
    model.get_submodule("layer1").register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 7)
    assert seen == [(2, 64, 28, 28)]
    plain = library(model="resnet18").build(num_classes=7, input_shape=(1, 64, 64)).eval()
    assert plain(torch.zeros(2, 1, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"name": "torchvision", "model": "resnet81"}, "did you mean 'resnet"),
        ({"name": "timm", "model": "resnet81"}, "did you mean 'resnet"),
        ({"name": "torchvision", "model": "vgg11", "cifar_stem": True}, "no 7×7 stem"),
        ({"name": "timm", "model": "vit_tiny_patch16_224", "cifar_stem": True}, "no 7×7 stem"),
        ({"name": "timm", "model": "vgg11", "zero_init_last": False}, "zero_init_last"),
    ],
)
def test_networks_that_do_not_fit_are_refused(settings: dict[str, object], reason: str) -> None:
    """An unknown name, a stem that cannot be exchanged and an option that is not there are told when a suite is read."""
    backbone = Torchvision if settings["name"] == "torchvision" else Timm
    with pytest.raises(ValidationError, match=reason):
        backbone.model_validate(settings)


def test_timms_last_batchnorm_can_start_at_one() -> None:
    """timm starts the last BatchNorm of a block at 0, which no noise in units of a filter reaches; it can be told not to."""
    for settings, start in (({}, 0.0), ({"zero_init_last": False}, 1.0)):
        model = Timm(model="resnet18", **settings).build(num_classes=2, input_shape=(3, 32, 32))
        assert model.get_parameter("layer1.0.bn2.weight").eq(start).all()


@pytest.mark.parametrize("kind", [Timm, Torchvision])
def test_weights_to_start_from(kind: type[Timm] | type[Torchvision], tmp_path: Path) -> None:
    """Of a file every tensor is there before the first step, but for a head of other classes; the file is in the key."""
    model, file = ("test_resnet" if kind is Timm else "shufflenet_v2_x0_5"), tmp_path / "w.safetensors"
    torch.manual_seed(0)
    first = kind(model=model).build(num_classes=5, input_shape=(3, 32, 32)).state_dict()
    save_file(first, file)
    own = kind.model_validate({"model": model, "pretrained": str(file)})
    assert own.fingerprint != kind(model=model).fingerprint
    torch.manual_seed(1)
    same = own.build(num_classes=5, input_shape=(3, 32, 32)).state_dict()
    assert all(torch.equal(same[name], tensor) for name, tensor in first.items())
    other = own.build(num_classes=7, input_shape=(3, 32, 32)).state_dict()
    new = [name for name, tensor in first.items() if not torch.equal(other[name], tensor)]
    assert [other[name].shape[0] for name in new] == [7, 7]
    save_file({"other.weight": torch.ones(2)}, file)
    with pytest.raises(ValueError, match="holds weights of another network"):
        kind.model_validate({"model": model, "pretrained": str(file)}).build(num_classes=5, input_shape=(3, 32, 32))
    with pytest.raises(ValidationError, match="is not for an argument to say"):
        kind.model_validate({"model": model, "arguments": {"pretrained": True}})


# -- normalisation --------------------------------------------------------------------------------------------------------

NETWORKS = [ResNet(depth=8), ResNet(depth=9, width=8), ResNet(depth=50, width=8), WideResNet(depth=10, width=1)]


@pytest.mark.parametrize("backbone", NETWORKS, ids=str)
def test_what_normalises(backbone: Backbone) -> None:
    """Group normalisation has as many parameters as batch normalisation and no buffer; without any there is a bias instead."""
    built = {
        norm: backbone.replace(norm=norm).build(num_classes=10, input_shape=(3, 32, 32))
        for norm in ("batch", "group", "none")
    }
    count = {norm: sum(p.numel() for p in model.parameters()) for norm, model in built.items()}
    kinds = {norm: {type(module) for module in model.modules()} for norm, model in built.items()}
    assert count["group"] == count["batch"]
    assert nn.BatchNorm2d in kinds["batch"]
    assert nn.GroupNorm in kinds["group"]
    assert not kinds["none"] & {nn.BatchNorm2d, nn.GroupNorm}
    assert not list(built["group"].buffers()) + list(built["none"].buffers())
    convolutions = [module for module in built["none"].modules() if isinstance(module, nn.Conv2d)]
    assert all(module.bias is not None for module in convolutions)
    assert backbone.replace(norm="batch").fingerprint == backbone.fingerprint


@pytest.mark.parametrize(("channels", "number"), [(1, 1), (3, 1), (10, 2), (16, 4), (64, 16), (128, 32), (512, 32)])
def test_groups_have_four_channels_or_more(channels: int, number: int) -> None:
    """There are 32 groups, or as many as have four channels, and they are of one size."""
    assert groups(channels) == number
    assert channels % number == 0


@pytest.mark.parametrize("backbone", NETWORKS, ids=str)
def test_blocks_begin_as_their_shortcuts(backbone: Backbone) -> None:
    """Without normalisation the last convolution of each block is 0 at first, and the network learns all the same."""
    torch.manual_seed(0)
    model = backbone.replace(norm="none").build(num_classes=10, input_shape=(3, 32, 32))
    blocks = [
        module
        for module in model.modules()
        if type(module).__name__ in ("BasicBlock", "Bottleneck", "_Block", "_Residual")
    ]
    zeros = sum(not module.weight.any() for module in model.modules() if isinstance(module, nn.Conv2d))
    assert zeros == len(blocks) > 0
    labels = torch.arange(40) % 10
    images = torch.randn(10, 3, 32, 32)[labels] + 0.3 * torch.randn(40, 3, 32, 32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(model(images), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert min(losses) < losses[0] - 0.02


@pytest.mark.parametrize(
    ("backbone", "first"),
    [
        (ResNet(depth=8), (0.187550, -0.465706, -0.028466)),
        (ResNet(depth=9, width=8), (0.110648, 0.048956, 0.029904)),
        (ResNet(depth=18, width=8), (-0.152349, -0.001897, -0.111339)),
        (ResNet(depth=50, width=8), (-0.240722, 0.004021, -0.023162)),
        (WideResNet(depth=16, width=1), (-0.087483, -0.041489, -0.042170)),
    ],
    ids=str,
)
def test_a_network_begins_with_the_weights_that_it_began_with(
    backbone: Backbone, first: tuple[float, float, float]
) -> None:
    """The first numbers of the first, the middle and the last matrix are those of the first version: the order of draws is
    part of what a key stands for, so that another one needs another `version`."""
    torch.manual_seed(0)
    model = backbone.build(num_classes=10, input_shape=(3, 32, 32))
    matrices = [parameter.detach() for parameter in model.parameters() if parameter.ndim > 1]
    found = [float(matrices[index].flatten()[0]) for index in (0, len(matrices) // 2, -1)]
    assert found == pytest.approx(first, abs=2e-6)
