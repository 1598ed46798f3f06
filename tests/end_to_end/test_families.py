"""docs/backbones.md, made anew: slow, because it builds a network of every family of timm and torchvision."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
RESULTS: dict[str, dict[str, Any]] = json.loads((ROOT / "docs" / "results" / "backbones.json").read_text())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("family", sorted(RESULTS))
def test_a_family_is_as_its_row_says(family: str) -> None:
    """The network trains and passes at displaced weights as a copy with the noise added by hand, or is refused as it is written."""
    spec = importlib.util.spec_from_file_location("families", ROOT / "scripts" / "make_backbones_table.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    model = RESULTS[family]["model"]
    found = script.examined(family.partition("/")[0], model)
    assert {"model": model, **json.loads(json.dumps(found))} == RESULTS[family]
