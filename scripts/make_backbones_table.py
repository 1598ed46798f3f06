"""Write docs/backbones.md: every family of timm's and torchvision's classifiers, by one small network of each.

python scripts/make_backbones_table.py [--results FILE] goes on where it was stopped; --check says whether the page is that of
the results. Each network is built for the smallest images that it takes, trained for a step at displaced weights, and passed
at displaced weights beside a copy to whose weights the same noise was added by hand.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import timm
import torch
from torch.nn.functional import cross_entropy
from torchvision import models

from nrbench import Backbone, Layout, forward_at
from nrbench.base.chance import Chips
from nrbench.families.analog import inventory
from nrbench.families.loading import same
from nrbench.suite.trial import made_up_sample, tried
from nrbench_backbones import Timm, Torchvision
from nrbench_noise import Gaussian

PAGE = Path(__file__).parents[1] / "docs" / "backbones.md"
RESULTS = PAGE.parent / "results" / "backbones.json"
SIZES = (32, 64, 96, 128, 160, 192, 224, 240, 256, 299)
SMALL = (
    "test_",
    "atto",
    "femto",
    "pico",
    "nano",
    "xxtiny",
    "xx_small",
    "xxs",
    "_xs",
    "tiny",
    "mini",
    "_micro",
    "_050",
    "_small",
    "_b0",
    "_s",
)


def families() -> dict[str, str]:
    """Return a small network of each family, by `library/family`."""
    found = {f"timm/{module}": _smallest(timm.list_models(module=module)) for module in timm.list_modules()}
    of_torchvision: dict[str, list[str]] = {}
    for name in models.list_models(module=models):
        family = models.get_model_builder(name).__module__.rpartition(".")[2]
        of_torchvision.setdefault(family, []).append(name)
    return {k: v for k, v in found.items() if v} | {f"torchvision/{k}": _smallest(v) for k, v in of_torchvision.items()}


def _smallest(names: list[str]) -> str:
    ranks = {name: next((i for i, part in enumerate(SMALL) if part in name), len(SMALL)) for name in names}
    return min(names, key=lambda name: (ranks[name], len(name), name), default="")


def examined(library: str, model: str) -> dict[str, Any]:
    """Return what is found of a network, or why it is refused."""
    backbone: Backbone = Timm(model=model) if library == "timm" else Torchvision(model=model)
    reason = ""
    tried.cache_clear()
    for size in SIZES:
        try:
            tried(backbone, made_up_sample(10, (3, size, size)))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if "computes another weight" in reason or "share memory" in reason:
                break
        else:
            return {"size": size, **_displaced(backbone, size)}
    return {"refused": reason.splitlines()[0][:160]}


def _displaced(backbone: Backbone, size: int) -> dict[str, Any]:
    torch.manual_seed(0)
    model = backbone.build(num_classes=10, input_shape=(3, size, size))
    layout = Layout.of(model, backbone.stored(model))
    weights = layout.weights_of(model)
    counted = inventory(weights)
    digital = counted.pop("digital", (0, 0))
    noise = Gaussian(sigma=0.05)
    chip = Chips("families", 0, torch.device("cpu")).chip("report", 0)
    images, labels = torch.rand(4, 3, size, size), torch.arange(4)
    before = {name: weight.clone() for name, weight in weights.items()}
    cross_entropy(
        forward_at(model.train(), noise.displacement(weights, chance=chip), images, layout=layout), labels
    ).backward()
    trains = all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    model.eval().zero_grad()
    delta = noise.displacement(layout.weights_of(model), chance=chip.anew())
    by_hand = copy.deepcopy(model)
    with torch.no_grad():
        own = dict(by_hand.named_parameters(remove_duplicate=False))
        for name, tensor in delta.items():
            own[name].add_(tensor)
        difference = (forward_at(model, delta, images, layout=layout) - by_hand(images)).abs().max().item()
    return {
        "stored": {kind: list(numbers) for kind, numbers in sorted(counted.items())},
        "digital": list(digital),
        "trains": bool(trains),
        "difference": difference,
        "unchanged": same(layout.weights_of(model), before),
    }


def page(results: dict[str, dict[str, Any]]) -> str:
    """Return the page."""
    right = {k: r for k, r in results.items() if r.get("trains") and r.get("unchanged") and r["difference"] <= 1e-5}
    refused = {k: r for k, r in results.items() if "refused" in r}
    exact = sum(r["difference"] == 0 for r in right.values())
    wrong = results.keys() - right.keys() - refused.keys()
    lines = [
        "# Which networks, and what of them lies on the device",
        "",
        f"One small network of each of the {len(results)} families of timm's and torchvision's classifiers, by",
        "`python scripts/make_backbones_table.py`: built for the smallest square images that it takes, trained for a step at",
        "displaced weights, and passed at displaced weights beside a copy to whose weights the same noise was added by hand.",
        f"{len(right)} are right, {exact} of them to the last bit (the others to 1e-5: products round by where memory lies),",
        f"{len(refused)} are refused with the reason, {len(wrong)} are wrong.",
        "",
        "Stored are the weights of convolutions, linear layers, recurrent layers and the projections of attention; tokens,",
        "positions, scales, norms and all else are digital.",
        "",
        "| family | network | images | stored weights | digital | by hand |",
        "|---|---|---|---|---|---|",
    ]
    for family, result in sorted(results.items()):
        if "refused" in result:
            lines.append(
                f"| {family} | {result['model']} | | | | refused: {result['refused']} |".replace("|  |", "| |")
            )
            continue
        stored = ", ".join(f"{numbers[1]:,} {kind}" for kind, numbers in result["stored"].items())
        verdict = "equal" if result["difference"] == 0 else f"within {result['difference']:.0e}"
        verdict = verdict if family in right else "wrong"
        size = result["size"]
        lines.append(
            f"| {family} | {result['model']} | {size}×{size} | {stored} | {result['digital'][1]:,} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Examine what is not examined yet and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    results = json.loads(asked.results.read_text()) if asked.results.exists() else {}
    if asked.check:
        return int(PAGE.read_text() != page(results))
    for family, model in families().items():
        if family not in results:
            try:
                found = examined(family.partition("/")[0], model)
            except Exception as error:
                found = {"refused": f"{type(error).__name__}: {error}".splitlines()[0][:160]}
            results[family] = {"model": model, **found}
            asked.results.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
            sys.stdout.write(f"{family} {model} {found}\n"[:200])
    PAGE.write_text(page(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
