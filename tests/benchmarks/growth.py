"""Measure how time and memory grow with a suite: its plan, a run that has nothing to train, and its report.

python -m tests.benchmarks.growth docs/growth.svg draws the picture of docs/performance.md; it needs matplotlib.

Every training has 0 epochs, so what a run costs here is what nrbench itself costs. Each step is a process of its own; the
time for its imports is left out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.own_process import alone, peak

SUITE = """\
name: growth
seeds: {seeds}
draws: 2
datasets: {{synthetic: {{name: synthetic, train_size: 16, test_size: 8}}}}
backbones: {{MLP: {{name: mlp, hidden: [4]}}}}
recipe: {{epochs: 0, held_out: 0, augment: []}}
selections: {{last: {{name: last}}}}
methods:
  SGD: {{name: sgd}}
  "RWP {{sigma}}": {{name: rwp, sigma: {{sweep: {methods}}}}}
noise:
  clean: {{name: none}}
  "Gaussian {{sigma}}": {{name: gaussian, sigma: {{sweep: {levels}}}}}
"""
SEEDS, LEVELS = 5, 10


def suite(cells: int, folder: Path) -> Path:
    """Write a suite of so many cells: 5 seeds × 10 noise models × as many methods as it takes."""
    seeds, levels = (SEEDS, LEVELS) if cells >= SEEDS * LEVELS * 2 else (1, 5)
    methods = cells // (seeds * levels)
    path = folder / "growth.yaml"
    strengths = [round(0.001 * (index + 1), 4) for index in range(methods - 1)]
    sigmas = [round(0.01 * (index + 1), 2) for index in range(levels - 1)]
    path.write_text(SUITE.format(seeds=seeds, methods=strengths, levels=sigmas))
    return path


def plan(path: Path, out: Path) -> None:
    """What `nrbench plan` does."""
    from nrbench import Options, load_registry, load_suite
    from nrbench.jobs.plan import plan
    from nrbench.report.forecast import forecast

    options = Options(out=out)
    loaded = load_suite(path, load_registry())
    forecast(loaded, plan(loaded.cells(), options.store), options.store, out)


def run(path: Path, out: Path) -> None:
    """What `nrbench run -x serial` does, without printing."""
    import nrbench

    nrbench.run(path, options=nrbench.Options(out=out))


def report(path: Path, out: Path) -> None:
    """What `nrbench report` does, without printing."""
    from nrbench import Leaderboard, Options, load_registry, load_suite
    from nrbench.report.write import write_reports

    loaded, store = load_suite(path, load_registry()), Options(out=out).store
    write_reports(Leaderboard.of(loaded, store), loaded, store, out / loaded.name)


def measured(step: Callable[[Path, Path], None], path: Path, out: Path) -> tuple[float, float]:
    """Do a step and return seconds and MiB of memory beyond what the imports take."""
    import nrbench.cli.progress
    import nrbench.report.forecast
    import nrbench.report.runner

    nrbench.load_registry()  # imports the plugins
    before, start = peak(), time.perf_counter()
    step(path, out)
    return time.perf_counter() - start, peak() - before


Row = dict[str, float]


def grown(cells: int) -> Row:
    """Return what a suite of so many cells takes, each step in a process of its own."""
    row: Row = {"cells": cells}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = suite(cells, folder)
        for step in (plan, run, report):
            row[f"{step.__name__} s"], row[f"{step.__name__} MiB"] = alone(measured, step, path, folder / "out")
        row["html kB"] = (folder / "out" / "growth" / "leaderboard.html").stat().st_size / 1000
    return row


def draw(rows: list[Row], target: Path) -> None:
    """Draw time and memory against the number of cells, both logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "nrbench"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, unit, label in zip(
        axes, ("s", "MiB"), ("time beyond imports, s", "memory beyond imports, MiB"), strict=True
    ):
        for step in ("plan", "run", "report"):
            axis.plot(
                [row["cells"] for row in rows], [max(row[f"{step} {unit}"], 0.01) for row in rows], "o-", label=step
            )
        axis.set(xscale="log", yscale="log", xlabel="cells", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(target, metadata={"Date": None})


def main() -> None:
    """Print a line for each size, and draw the picture where the argument says."""
    rows = []
    print(
        f"{'cells':>7}{'plan s':>9}{'MiB':>6}{'run s':>9}{'MiB':>6}{'ms/cell':>9}{'report s':>10}{'MiB':>6}{'html kB':>9}"
    )
    for cells in (10, 100, 1000, 10_000):
        rows.append(row := grown(cells))
        print(
            f"{cells:7}{row['plan s']:9.2f}{row['plan MiB']:6.0f}{row['run s']:9.1f}{row['run MiB']:6.0f}"
            f"{1000 * row['run s'] / cells:9.1f}{row['report s']:10.2f}{row['report MiB']:6.0f}{row['html kB']:9.0f}",
            flush=True,
        )
    draw(rows, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
