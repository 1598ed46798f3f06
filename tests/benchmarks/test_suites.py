"""What whole suites cost: more noise levels, a training for each level, more workers, and nrbench itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from nrbench import Executor, Options, Processes, Registry, load_registry, load_suite, run
from nrbench.families.executor import Serial
from nrbench.suite.shipped import find_suite
from tests.benchmarks.conftest import Bench
from tests.benchmarks.growth import Row, grown

ONE_EPOCH = ["recipe.epochs=1"]
FEW = [*ONE_EPOCH, "seeds=1", "backbones.WRN-10-1=null"]
MORE = [f"noise.Gaussian {s} %={{name: gaussian, sigma: 0.{s}}}" for s in ("05", "15", "25")] + [
    "noise.Laplace 20 %={name: laplace, b: 0.2}"
]
NOTHING = """\
name: nothing
seeds: 20
draws: 1
datasets: {synthetic: {name: synthetic, train_size: 16, test_size: 8}}
backbones: {MLP: {name: mlp, hidden: [4]}}
recipe: {epochs: 0, held_out: 0, augment: []}
selections: {last: {name: last}}
methods: {SGD: {name: sgd}}
noise: {clean: {name: none}}
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


class Quickstart:
    """The quickstart with settings laid over it, run into a new directory each time."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry, self._folder, self._numbers = registry, folder, count()

    def __call__(self, settings: Sequence[str], executor: Executor | None = None, *, only: Sequence[str] = ()) -> float:
        suite = load_suite(find_suite("quickstart"), self._registry, settings=settings)
        options = Options(out=self._folder / str(next(self._numbers)), executor=executor or Serial(), only=only)
        start = time.perf_counter()
        run(suite, options=options)
        return time.perf_counter() - start


@pytest.fixture
def quickstart(registry: Registry, tmp_path: Path) -> Quickstart:
    return Quickstart(registry, tmp_path)


def test_twice_the_noise_levels(bench: Bench, quickstart: Quickstart) -> None:
    """A suite with eight noise models ÷ with four, epochs chosen for each, of the quickstart's six: trained once each."""
    settings = ["seeds=1", "backbones.WRN-10-1=null"]
    times = bench.times(lambda: quickstart([*settings, *MORE]), lambda: quickstart(settings), rounds=1, warm=False)
    bench.figure("8 noise levels ÷ 4, quickstart", [more / few for more, few in times], "≤ 1.35")


def test_a_training_for_each_noise_level(bench: Bench, quickstart: Quickstart) -> None:
    """Training anew for each of four noise models ÷ once for all."""
    labels = ["clean", "Gaussian σ=0.1", "Gaussian σ=0.2", "Laplace b=0.1"]
    times = bench.times(
        lambda: quickstart(FEW), lambda: [quickstart(FEW, only=[label]) for label in labels], rounds=1, warm=False
    )
    bench.figure("a training for each of 4 levels ÷ one for all", [naive / ours for ours, naive in times], "≥ 1")


def test_two_workers(bench: Bench, quickstart: Quickstart) -> None:
    """One worker ÷ two, each of one thread, the start of the processes included: quickstart of 1 epoch."""
    times = bench.times(
        lambda: quickstart(ONE_EPOCH, Processes(jobs=2)),
        lambda: quickstart(ONE_EPOCH, Processes(jobs=1)),
        rounds=1,
        warm=False,
    )
    bench.figure("1 worker ÷ 2 workers, quickstart of 1 epoch", [one / two for two, one in times], "≥ 1.8")


def test_overhead(bench: Bench, registry: Registry, tmp_path: Path) -> None:
    """Milliseconds for a cell whose training has no epochs, imports left out: 20 trainings, a cell each."""
    path = tmp_path / "nothing.yaml"
    path.write_text(NOTHING)
    suite, numbers = load_suite(path, registry), count()
    times = bench.alone(lambda: run(suite, options=Options(out=tmp_path / str(next(numbers)))), rounds=5)
    bench.figure("ms for a cell of 0 epochs", [1000 * seconds / 20 for seconds in times], "≤ 50")


@pytest.fixture(scope="module")
def sizes() -> tuple[Row, Row]:
    return grown(1000), grown(10_000)


@pytest.mark.parametrize(
    ("what", "unit", "target"),
    [("plan", "s", "≤ 3"), ("report", "s", "≤ 15"), ("html", "kB", "≤ 3000")],
    ids=["plan", "report", "page"],
)
def test_growth(bench: Bench, sizes: tuple[Row, Row], what: str, unit: str, target: str) -> None:
    """What 10,000 cells take, beyond imports."""
    bench.alone(lambda: None)
    bench.figure(f"{what} of 10,000 cells, {unit}", [sizes[1][f"{what} {unit}"]], target)


@pytest.mark.parametrize("what", ["plan", "run", "report"])
def test_memory_is_linear(bench: Bench, sizes: tuple[Row, Row], what: str) -> None:
    """Memory for 10,000 cells ÷ for 1,000, beyond imports: no more than ten times."""
    few, many = sizes
    bench.alone(lambda: None)
    bench.figure(
        f"{what}: memory of 10,000 cells ÷ of 1,000", [many[f"{what} MiB"] / max(few[f"{what} MiB"], 1)], "≤ 10"
    )
