"""docs/backbones.md, made anew, which is slow: a network of every family of timm and torchvision is built. Our own are not."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nrbench import Backbone
from nrbench_backbones import MLP, ResNet, WideResNet

ROOT = Path(__file__).parent.parent.parent
RESULTS: dict[str, dict[str, Any]] = json.loads((ROOT / "docs" / "results" / "backbones.json").read_text())


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that makes the table."""
    spec = importlib.util.spec_from_file_location("families", ROOT / "scripts" / "make_backbones_table.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("family", sorted(RESULTS))
def test_a_family_is_as_its_row_says(family: str, script: ModuleType) -> None:
    """The network trains and passes at displaced weights as a copy with the noise added by hand, or is refused as it is written."""
    model = RESULTS[family]["model"]
    found = script.examined(family.partition("/")[0], model)
    assert {"model": model, **json.loads(json.dumps(found))} == RESULTS[family]


@pytest.mark.parametrize(
    "backbone", [ResNet(depth=8, width=4), ResNet(depth=50, width=4), WideResNet(depth=10, width=1), MLP()], ids=str
)
def test_our_own_networks_are_displaced_as_by_hand(backbone: Backbone, script: ModuleType) -> None:
    """To the last bit, with w as it was before, like those of the table."""
    found = script._displaced(backbone, 32)
    assert (found["difference"], found["unchanged"], found["trains"]) == (0.0, True, True)
