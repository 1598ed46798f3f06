"""Measure how time and memory grow with a suite: its plan, a run that has nothing to train, and its report.

python scripts/measure_growth.py [--out docs/growth.svg] [10 100 1000 10000]

Every training has 0 epochs, so what a run costs here is what nrbench itself costs. Each step is a process of its own; the
time for its imports is left out.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
    from nrbench.forecast import forecast
    from nrbench.runner import plan

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
    from nrbench.report import write_reports

    loaded, store = load_suite(path, load_registry()), Options(out=out).store
    write_reports(Leaderboard.of(loaded, store), loaded, store, out / loaded.name)


def measured(step: Callable[[Path, Path], None], path: Path, out: Path, results: multiprocessing.Queue[object]) -> None:
    """Do a step and report seconds and MiB of memory above what the imports take."""
    import nrbench.cli
    import nrbench.forecast
    import nrbench.runner

    nrbench.load_registry()  # imports the plugins
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    step(path, out)
    seconds = time.perf_counter() - start
    results.put((seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))


def alone(step: Callable[[Path, Path], None], path: Path, out: Path) -> tuple[float, float]:
    """Return what a step takes in a process of its own."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=measured, args=(step, path, out, results))
    process.start()
    found: tuple[float, float] = results.get(timeout=1800)
    process.join()
    return found


def draw(rows: list[dict[str, float]], target: Path) -> None:
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
    """Print a line for each size, and draw the picture if --out says where."""
    arguments = sys.argv[1:]
    target = Path(arguments[arguments.index("--out") + 1]) if "--out" in arguments else None
    sizes = [int(argument) for argument in arguments if argument.isdecimal()] or [10, 100, 1000, 10_000]
    rows = []
    print(
        f"{'cells':>7}{'plan s':>9}{'MiB':>6}{'run s':>9}{'MiB':>6}{'ms/cell':>9}{'report s':>10}{'MiB':>6}{'html kB':>9}"
    )
    for cells in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = suite(cells, folder)
            row: dict[str, float] = {"cells": cells}
            for step in (plan, run, report):
                row[f"{step.__name__} s"], row[f"{step.__name__} MiB"] = alone(step, path, folder / "out")
            row["html kB"] = (folder / "out" / "growth" / "leaderboard.html").stat().st_size / 1000
        rows.append(row)
        print(
            f"{cells:7}{row['plan s']:9.2f}{row['plan MiB']:6.0f}{row['run s']:9.1f}{row['run MiB']:6.0f}"
            f"{1000 * row['run s'] / cells:9.1f}{row['report s']:10.2f}{row['report MiB']:6.0f}{row['html kB']:9.0f}",
            flush=True,
        )
    if target:
        draw(rows, target)
        target.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
