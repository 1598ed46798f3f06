"""The paper's tables as suites: run on made-up files in CIFAR-100's format, at a fraction of their size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nrbench import Registry, load_suite
from nrbench.suite.shipped import shipped_suites
from tests.conftest import Finished

Command = Callable[..., Finished]

# one epoch, one seed, two draws, two selection draws, on files that are not CIFAR's
SMALL = [
    "recipe.epochs=1", "recipe.precision=auto", "recipe.keep_epochs=0", "seeds=1", "draws=2",
    "selections.best epoch on test.draws=2", "datasets.CIFAR-100.checksums=none",
]  # fmt: skip
RWP, SAM = "methods.RWP σ={sigma}.sigma=0.05", "methods.SAM ρ={rho}.rho=0.2"


def ramps(method: str, shape: str) -> list[str]:
    """Settings that leave one maximum and one length of a ramp."""
    field, symbol = ("rho", "ρ") if method == "SAM" else ("sigma", "σ")
    label = f"methods.{shape} {method} {symbol}={{method.{field}}} until {{schedule.until}}"
    return [f"{label}.method.{field}=0.1", f"{label}.schedule.until=0.5"]


# (suite, images, one value for each of its large sweeps)
TABLES = [
    ("table-1", 256, []),
    ("table-2", 256, []),
    ("table-3", 256, [RWP, SAM, *(s for m in ("RWP", "SAM") for r in ("Linear", "Quadratic", "Off-to-on") for s in ramps(m, r))]),
    ("table-4", 256, []),
    ("table-5", 128, [RWP, SAM]),
    ("table-6", 64, [RWP, SAM]),
    ("table-7", 64, [RWP, SAM, *ramps("SAM", "Quadratic"), *ramps("RWP", "Quadratic")]),
    ("table-8", 128, []),
    ("table-9", 128, []),
]  # fmt: skip


def write_images(root: Path, count: int) -> None:
    """Files of CIFAR-100's binary format: a coarse label, a fine one, and 3,072 bytes an image."""
    folder = root / "cifar-100-binary"
    folder.mkdir(parents=True)
    chance = np.random.default_rng(0)
    for part, number in (("train", count), ("test", 32)):
        labels = np.arange(number) % 100
        pixels = chance.integers(0, 256, (number, 3072), dtype=np.uint8)
        records = np.concatenate([np.stack([labels // 5, labels], 1).astype(np.uint8), pixels], 1)
        (folder / f"{part}.bin").write_bytes(records.tobytes())


def run_table(nrbench: Command, registry: Registry, folder: Path, table: str, images: int, settings: list[str]) -> None:
    write_images(folder / "data", images)
    suite = shipped_suites()[f"paper/{table}"]
    laid = [argument for setting in (*SMALL, *settings) for argument in ("--set", setting)]
    done = nrbench("run", suite, "-o", folder / "out", "--data-dir", folder / "data", "-q", "--json", *laid)
    assert done.code == 0, done.err
    board = json.loads(done.out)
    assert {row["status"] for row in board["rows"]} == {"ok"}
    assert {"CIFAR-100: non-standard data", "best epoch on test: selected on test"} <= set(board["flags"])
    made, anew = board["tables"]
    assert (made["batch_norm"], anew["batch_norm"]) == ("frozen", "recalibrated")
    (asked,) = load_suite(suite, registry).tables
    assert made["title"] == asked.title
    assert len(made["columns"]) >= len(asked.columns)
    for line in made["lines"]:
        assert all(cell is not None and cell["accuracy"] is not None for cell in line["cells"])
    assert any(cell["reference"] for line in made["lines"] for cell in line["cells"])
    markdown = (folder / "out" / board["suite"] / "leaderboard.md").read_text()
    assert f"## {made['title'].replace('_', chr(92) + '_')}" in markdown


def test_one_table_on_small_data(nrbench: Command, registry: Registry, tmp_path: Path) -> None:
    """Table 4 runs from files to its layout, with the paper's numbers beside."""
    run_table(nrbench, registry, tmp_path, "table-4", 32, [RWP, SAM])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("table", "images", "settings"), TABLES, ids=[table for table, _, _ in TABLES])
def test_every_table_on_small_data(
    nrbench: Command, registry: Registry, tmp_path: Path, table: str, images: int, settings: list[str]
) -> None:
    """Each table's suite runs from files in CIFAR-100's format to the paper's layout."""
    run_table(nrbench, registry, tmp_path, table, images, settings)


def test_the_whole_study_is_planned(nrbench: Command, registry: Registry, tmp_path: Path) -> None:
    """Tables and figures are 489 trainings and twice 1,401 cells once what they share is counted once, as by hand."""
    done = nrbench("plan", "paper", "-o", tmp_path, "--data-dir", tmp_path, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    # ResNet-18: SGD, 4 SAM, 6 RWP, 54 ramps; 10 constants on each other network; 18 quadratic ramps on two of them
    # the figures add SAM at 1.0 and RWP at 0.1
    assert found["trainings"] == 3 * (65 + 2 + 6 * 10 + 2 * 18)
    # tables 1 and 2: 11 methods × 5; table 3: 54 × 4; table 4: 7 × 4; the other networks: 10 × 2 each, and 18 on two
    # the figures: those two × 5, and two ramps without noise
    # and each with BatchNorm as trained and estimated anew
    assert found["cells"] == 2 * 3 * (11 * 5 + 54 * 4 + 7 * 4 + 6 * 20 + 2 * 18 + 2 * 5 + 2)
    suites = [*(f"paper/table-{n}" for n in range(1, 10)), "paper/figures"]
    alone = [len(list(load_suite(shipped_suites()[name], registry).cells())) for name in suites]
    assert found["shared_cells"] == sum(alone) - found["cells"]
    assert found["disk_bytes"] > 10**11
    assert found["gap"] == pytest.approx(4.3027 * (2 / 3) ** 0.5 * 0.545, rel=0.01)


def test_honest_is_the_same_study_chosen_on_validation(registry: Registry) -> None:
    """It has the same rows, tables and claims; only the held-out share and the selection differ."""
    paper, honest = (load_suite(shipped_suites()[name], registry) for name in ("paper", "paper-honest"))
    assert (honest.tables, honest.claims) == (paper.tables, paper.claims)
    assert [part.methods for part in honest.parts] == [part.methods for part in paper.parts]
    assert {part.recipe.held_out for part in honest.parts} == {0.1}
    assert [part.recipe.replace(held_out=0.0) for part in honest.parts] == [part.recipe for part in paper.parts]
    assert [list(part.selections) for part in honest.parts] == [["best epoch on validation"]] * 10
    scorings = [s.scoring(n) for p in honest.parts for s in p.selections.values() for n in p.noise.values()]
    assert {scoring.on for scoring in scorings if scoring} == {"validation"}


@pytest.mark.parametrize("name", ["paper/extended", "paper/calibration", "paper-mini"])
def test_the_other_suites_ask_for_what_they_say(registry: Registry, name: str) -> None:
    """What the paper's grids leave open, the readings of its noise law, and the small study, at their sizes."""
    loaded = load_suite(shipped_suites()[name], registry)
    cells = list(loaded.cells())
    trainings = {cell.training.key for cell in cells}
    # strengths: SGD, 7 SAM, 8 RWP, longer: 3; 5 noises, 2 selections, 2 treatments | 1 network × 32 laws × 2 | 24 and 5 methods × 5 seeds
    expected = {
        "paper/extended": (3 * 19, 3 * 19 * 5 * 2 * 2),
        "paper/calibration": (1, 64),
        "paper-mini": (145, 145 * 8 * 2 * 2),
    }
    assert (len(trainings), len(cells)) == expected[name]
