from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

import nrbench
from nrbench import (
    Cell,
    Component,
    Executor,
    Layout,
    Leaderboard,
    NetworkWeights,
    NoiseModel,
    Options,
    Outcome,
    Suite,
    hookimpl,
    load_registry,
    load_suite,
)
from nrbench.base.errors import DataError, MissingError
from nrbench.base.log import Event, RunLog
from nrbench.families.executor import Serial
from nrbench.jobs.device import find_device
from nrbench.jobs.job import Job
from nrbench.jobs.plan import plan
from nrbench.jobs.processes import Processes
from nrbench.jobs.store import Store
from nrbench.suite.suite import TrainingLabels
from tests.conftest import TINY

Write = Callable[..., Path]


def board_bytes(out: Path, name: str = "tiny") -> bytes:
    return (out / name / "leaderboard.json").read_bytes()


@contextmanager
def told(watch: Callable[[Event], None]) -> Iterator[None]:
    """Tell somebody, in this thread, what is added to the run log; what is raised stops the run there."""
    original = RunLog.add

    def add(self: RunLog, event: Event) -> None:
        original(self, event)
        watch(event)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RunLog, "add", add)
        yield


def run(suite: Suite, out: Path, **options: Any) -> tuple[Leaderboard, list[Event]]:
    events: list[Event] = []
    board = nrbench.run(suite, options=Options(out=out, **options), watch=events.append)
    return board, events


def count(events: Iterable[Event], kind: str) -> int:
    return sum(event.kind == kind for event in events)


def weights(out: Path) -> dict[str, str]:
    files = sorted((out / "store").rglob("*.safetensors"))
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the tiny suite, to be copied or looked at and not changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "suite.yaml").write_text(TINY)
    run(load_suite(folder / "suite.yaml", load_registry()), folder)
    return folder


def test_the_norms_are_those_of_the_stored_weights(tiny: Suite, finished: Path) -> None:
    """‖w‖ is the norm of the judged weights, and ‖δ‖ of Gaussian noise σ · √(Σ n·m²) over filters of n weights."""
    from safetensors.torch import load_file

    board = Leaderboard.from_json(board_bytes(finished))
    (row,) = [r for r in board.rows if (r.method, r.noise, r.selection) == ("SGD", "Gaussian 0.3", "last")]
    norms, lengths = [], []
    for seed in range(2):
        key = tiny.own_trainings[TrainingLabels("SGD", "MLP", "synthetic", seed)].key
        weights = load_file(finished / "store" / "trainings" / key / "epochs" / "3.safetensors")
        norms.append(torch.cat([w.flatten() for w in weights.values()]).norm().item())
        squares = [w.shape[1] * w.abs().amax(1).square().sum() for w in weights.values() if w.ndim == 2]
        lengths.append(0.3 * torch.stack(squares).sum().sqrt().item())
    assert row.weight_norm == pytest.approx(sum(norms) / 2, rel=1e-5)
    assert row.displacement_norm == pytest.approx(sum(lengths) / 2, rel=0.05)


def test_a_run_fills_every_cell(tiny: Suite, finished: Path) -> None:
    """Every combination is a row with its numbers, from four trainings for 24 cells."""
    board = Leaderboard.from_json(board_bytes(finished))
    assert len(board.rows) == 2 * 3 * 2
    assert {row.status for row in board.rows} == {"ok"}
    for row in board.rows:
        assert row.accuracy is not None
        assert row.seeds == 2
        assert (row.noise_std is None) == (row.noise == "clean")
    assert len(list((finished / "store" / "trainings").iterdir())) == 4


def test_a_second_run_trains_nothing_and_changes_no_byte(tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """Everything is found in the store, and leaderboard.json is the same file."""
    shutil.copytree(finished, tmp_path / "copy")
    board, events = run(tiny, tmp_path / "copy")
    assert events == []
    assert board_bytes(tmp_path / "copy") == board_bytes(finished)
    assert board.failed == 0


class Backwards(Executor):
    """Runs jobs in the opposite order."""

    name: Literal["backwards"] = "backwards"

    def map(self, work: Any, items: Any) -> Iterator[Outcome[Any, Any]]:
        yield from Serial().map(work, list(items)[::-1])


@pytest.mark.parametrize("executor", [Backwards(), Processes(jobs=2)], ids=lambda executor: executor.name)
def test_neither_order_nor_executor_changes_a_byte(
    executor: Executor, tiny: Suite, finished: Path, tmp_path: Path
) -> None:
    """Run in the opposite order or by two processes, leaderboard and weights are the same bytes."""
    run(tiny, tmp_path, executor=executor)
    assert board_bytes(tmp_path) == board_bytes(finished)
    assert weights(tmp_path) == weights(finished)


@pytest.mark.parametrize("event", range(20))
def test_a_run_stopped_anywhere_resumes_to_the_same_bytes(
    tiny: Suite, finished: Path, tmp_path: Path, event: int
) -> None:
    """Stopped at any event and started again, it ends with the same bytes and trains only the epochs that are missing.

    A training makes five events: it starts, ends three epochs, and is finished; an epoch announced is not stored yet.
    """
    seen = 0

    def watch(happened: Event) -> None:
        nonlocal seen
        if seen == event:
            raise KeyboardInterrupt
        seen += 1

    with pytest.raises(KeyboardInterrupt), told(watch):
        nrbench.run(tiny, options=Options(out=tmp_path))
    _, events = run(tiny, tmp_path)
    assert board_bytes(tmp_path) == board_bytes(finished)
    assert weights(tmp_path) == weights(finished)
    assert count(events, "epoch") == 12 - (3 * (event // 5) + max(0, event % 5 - 1))


def test_a_training_goes_on_from_its_last_epoch(tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """Stopped when the third epoch was announced, two are not trained again."""

    def watch(happened: Event) -> None:
        if happened.kind == "epoch" and happened.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), told(watch):
        nrbench.run(tiny, options=Options(out=tmp_path))
    _, events = run(tiny, tmp_path)
    epochs = [event.epoch for event in events if event.kind == "epoch"]
    assert epochs[:2] == [3, 1]


def test_more_noise_and_selections_retrain_nothing(write_suite: Write, registry: Any, tmp_path: Path) -> None:
    """A cell asked for later is judged from kept epochs, as it would have been at first."""
    path = write_suite()
    few = ["noise.Gaussian {sigma}.sigma={sweep: [0.1]}", "selections.chosen=null"]
    run(load_suite(path, registry, settings=few), tmp_path / "out")
    _, events = run(load_suite(path, registry), tmp_path / "out")
    assert count(events, "epoch") == 0
    run(load_suite(path, registry), tmp_path / "at once")
    assert board_bytes(tmp_path / "out") == board_bytes(tmp_path / "at once")


@pytest.mark.parametrize("keep", [0, 5000])
def test_epochs_that_were_not_kept_are_trained_again(
    keep: int, write_suite: Write, registry: Any, tmp_path: Path, finished: Path
) -> None:
    """With little room only chosen epochs stay; a new noise level then trains anew and comes to the same numbers."""
    path = write_suite()
    few = [f"recipe.keep_epochs={keep}", "noise.Gaussian {sigma}.sigma={sweep: [0.1]}"]
    run(load_suite(path, registry, settings=few), tmp_path)
    assert len(weights(tmp_path)) < len(weights(finished))
    _, events = run(load_suite(path, registry, settings=few[:1]), tmp_path)
    assert count(events, "epoch") == 12
    assert board_bytes(tmp_path) == board_bytes(finished)


def relabelled(suite: Suite) -> Suite:
    """The same suite on a data set whose test labels are permuted."""
    from nrbench_datasets import Synthetic

    class Permuted(Synthetic):
        """Synthetic images with wrong test labels."""

        def load(self, root: Path) -> Any:
            from dataclasses import replace

            from nrbench import Images

            splits = super().load(root)
            labels = splits.test.labels[torch.randperm(len(splits.test), generator=torch.Generator().manual_seed(5))]
            return replace(splits, test=Images(splits.test.images, labels))

    data = suite.datasets["synthetic"].model_dump()
    return suite.replace(datasets={"synthetic": Permuted.model_validate(data)})


def test_selection_on_validation_never_sees_the_test_set(tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """Permuting the test labels leaves every stored weight byte-identical and changes accuracies alone."""
    run(relabelled(tiny), tmp_path)
    assert weights(tmp_path) == weights(finished)
    assert board_bytes(tmp_path) != board_bytes(finished)


def test_selection_on_test_does_see_it(tiny: Suite, tmp_path: Path) -> None:
    """The canary works: chosen on test and kept sparingly, permuted labels keep other weights."""
    from nrbench.families.selection import BestEpoch

    sparing = tiny.replace(
        selections={"test": BestEpoch(on="test")}, recipe=tiny.recipe.replace(keep_epochs=0, epochs=6)
    )
    run(sparing, tmp_path / "true")
    run(relabelled(sparing), tmp_path / "permuted")
    assert weights(tmp_path / "true") != weights(tmp_path / "permuted")
    board = Leaderboard.from_json(board_bytes(tmp_path / "true"))
    assert "test: selected on test" in board.flags


class Diverging(nrbench.Method):
    """Goes to infinity in its second epoch."""

    name: Literal["diverging"] = "diverging"
    rampable = False

    def backward(self, step: nrbench.Step) -> torch.Tensor:
        loss = step.backward()
        return loss * float("inf") if step.progress > 0.5 else loss


class Raising(nrbench.Method):
    """Raises in its second epoch."""

    name: Literal["raising"] = "raising"
    rampable = False

    def backward(self, step: nrbench.Step) -> torch.Tensor:
        if step.progress > 0.5:
            raise RuntimeError("no gradient today")
        return step.backward()


class Hungry(nrbench.Method):
    """Runs out of memory at once."""

    name: Literal["hungry"] = "hungry"
    rampable = False

    def backward(self, step: nrbench.Step) -> torch.Tensor:
        raise MemoryError("too big")


class Shattering(NoiseModel):
    """A noise model that raises."""

    name: Literal["shattering"] = "shattering"

    def displacement(self, weights: Any, *, gradient: Any, chance: Any) -> Any:
        raise ZeroDivisionError("no device")


class Plugin:
    """A stranger's plugin with everything that can go wrong."""

    @hookimpl
    def nrbench_components(self) -> list[type[Component]]:
        return [Diverging, Raising, Hungry, Shattering]


def with_trouble(write_suite: Write) -> Suite:
    text = TINY.replace(
        "  RWP:", "  Diverging: {name: diverging}\n  Raising: {name: raising}\n  Hungry: {name: hungry}\n  RWP:"
    )
    text += "  Shattering: {name: shattering}\n"
    return load_suite(write_suite(text), load_registry(extra=[Plugin()]))


def test_a_failure_costs_its_own_cells_alone(write_suite: Write, tmp_path: Path, finished: Path) -> None:
    """Methods that diverge, raise or run out of memory and a noise model that raises are rows that say so; others are whole."""
    board, _ = run(with_trouble(write_suite), tmp_path)
    status = {(row.method, row.noise): row.status for row in board.rows}
    for method, expected in {"Diverging": "diverged", "Raising": "error", "Hungry": "out_of_memory"}.items():
        assert {status[method, noise] for noise in ("clean", "Gaussian 0.1")} == {expected}
    assert {status[method, "Shattering"] for method in ("SGD", "RWP")} == {"error"}
    whole = Leaderboard.from_json(board_bytes(finished))
    expected_rows = {(r.method, r.noise, r.selection): r.accuracy for r in whole.rows}
    ours = {(r.method, r.noise, r.selection): r.accuracy for r in board.rows}
    assert {key: ours[key] for key in expected_rows} == expected_rows
    reasons = {row.method: row.reason for row in board.rows if row.noise == "clean"}
    assert reasons["Raising"] == "RuntimeError: no gradient today"
    ranked = board.rankings[0].rows
    assert [rank.method for rank in ranked if not rank.complete] == [rank.method for rank in ranked], (
        "one noise fails for all"
    )


def test_failures_stay_until_they_are_retried(write_suite: Write, tmp_path: Path) -> None:
    """A second run skips what failed; --retry-failed tries it again; what diverged is a result and is not retried."""
    suite = with_trouble(write_suite)
    run(suite, tmp_path)
    _, skipped = run(suite, tmp_path)
    assert skipped == []
    work = plan(suite.cells(), Store(tmp_path / "store"), retry_failed=True)
    assert {job.training.method.name for job in work.jobs} == {"sgd", "raising", "hungry", "rwp", "diverging"}
    for job in work.jobs:
        if job.training.method.name in ("sgd", "rwp", "diverging"):
            assert {cell.noise.name for cell in job.cells} == {"shattering"}


def test_force_computes_again(tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """With force everything is trained again, to the same bytes."""
    shutil.copytree(finished, tmp_path / "copy")
    _, events = run(tiny, tmp_path / "copy", force=True)
    assert count(events, "epoch") == 12
    assert board_bytes(tmp_path / "copy") == board_bytes(finished)


def test_a_part_of_a_suite_leaves_the_rest_incomplete(tiny: Suite, tmp_path: Path) -> None:
    """Cells left out are shown as incomplete and without a number, and computed later without touching the others."""
    board, _ = run(tiny, tmp_path, only=["SGD"])
    left_out = [row for row in board.rows if row.method == "RWP"]
    assert {(row.status, row.accuracy, row.by_seed) for row in left_out} == {("incomplete", None, (None, None))}
    assert {row.status for row in board.rows if row.method == "SGD"} == {"ok"}
    board, events = run(tiny, tmp_path)
    assert board.failed == 0
    assert count(events, "epoch") == 6


@pytest.mark.parametrize(("what", "epochs"), [("cells", 0), ("epochs", 3), ("record", 3), ("weights gone", 3)])
def test_damage_costs_what_it_hit(what: str, epochs: int, tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """A damaged result is judged again, a damaged weight file or record trained again, no other training; the board is as before."""
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    (out / "tiny" / "leaderboard.json").write_bytes(b"stale")
    (cell,) = [
        c
        for c in tiny.cells()
        if c.noise.name == "none" and c.selection.name == "last" and c.training.method.name == "sgd"
    ][:1]
    result = out / "store" / "cells" / cell.key[:2] / f"{cell.key}.json"
    training = out / "store" / "trainings" / cell.training.key
    result.unlink()
    if what == "cells":
        other = next(path for path in (out / "store" / "cells").rglob("*.json"))
        other.write_bytes(other.read_bytes()[:-9])
    elif what == "epochs":
        (training / "epochs" / "3.safetensors").write_bytes(b"damaged")
    elif what == "record":
        (training / "record.json").write_bytes(b"damaged")
    else:
        shutil.rmtree(training / "epochs")
    board, events = run(tiny, out)
    assert board.failed == 0
    assert board_bytes(out) == board_bytes(finished)
    assert [event.training for event in events if event.kind == "epoch"] == [cell.training.key] * epochs


def test_missing_data_is_said_before_anything_is_trained(write_suite: Write, tmp_path: Path) -> None:
    """A data set that cannot be loaded stops the run with nothing done."""
    import numpy as np

    np.savez(tmp_path / "own.npz", nothing=np.zeros(1))
    text = TINY.replace("{name: synthetic, train_size: 128, test_size: 64}", "{name: npz, file: own.npz}")
    with pytest.raises(DataError, match="lacks the arrays"):
        run(load_suite(write_suite(text), load_registry()), tmp_path / "out")
    assert not (tmp_path / "out" / "store").exists()


@pytest.mark.parametrize("name", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there(name: str) -> None:
    """An unknown or absent device is named in the error."""
    with pytest.raises(MissingError, match=name):
        find_device(name)


@pytest.mark.parametrize(("faster", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_precision_auto_is_made_concrete(
    faster: bool, precision: str, tiny: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is bfloat16 where the device computes in it, else float32, and has the keys of that precision written out."""
    monkeypatch.setattr("nrbench.suite.recipe.computes_in_bfloat16", lambda device: faster)
    auto, written = (tiny.replace(recipe=tiny.recipe.replace(precision=each)) for each in ("auto", precision))
    concrete = auto.for_device(torch.device("cpu"))
    assert concrete.recipe.precision == precision
    assert [cell.key for cell in concrete.cells()] == [cell.key for cell in written.cells()]


def test_bfloat16_and_recalibration_run_through(write_suite: Write, registry: Any, tmp_path: Path) -> None:
    """Reduced precision, a convolutional network and both treatments of BatchNorm give a whole board."""
    settings = [
        "recipe.precision=bfloat16",
        "backbones={ResNet: {name: resnet, depth: 8, width: 4}}",
        "evaluation.batch_norm=[frozen, recalibrated]",
        "recipe.epochs=1",
    ]
    board, _ = run(load_suite(write_suite(), registry, settings=settings), tmp_path)
    assert board.failed == 0
    assert {row.batch_norm for row in board.rows} == {"frozen", "recalibrated"}
    assert len(board.rankings) == 4


@pytest.mark.parametrize("name", ["", "mine"], ids=["path", "name"])
def test_run_takes_a_path_and_a_name(
    name: str, write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`nrbench.run` takes a file or the name of a suite that comes along, with settings, and returns what it wrote."""
    path = write_suite()
    monkeypatch.setattr("nrbench.suite.shipped.shipped_suites", lambda: {"mine": path})
    board = nrbench.run(name or path, options=Options(out=tmp_path), settings=["seeds=1"])
    assert board.json_bytes() == board_bytes(tmp_path)
    assert "fewer than 3 seeds" in board.flags
    assert {len(row.by_seed) for row in board.rows} == {1}


def test_one_job_holds_all_missing_cells_of_a_training(tiny: Suite, tmp_path: Path) -> None:
    """A plan groups cells by training and asks for each cell once."""
    work = plan([*tiny.cells(), *tiny.cells()], Store(tmp_path))
    assert [len(job.cells) for job in work.jobs] == [6] * 4
    assert isinstance(work.jobs[0], Job)
    assert isinstance(work.jobs[0].cells[0], Cell)


class Choosy(nrbench.Selection):
    """A selection that raises, or chooses an epoch that is not there."""

    name: Literal["choosy"] = "choosy"
    beyond: bool = False

    def scoring(self, noise: NoiseModel) -> None:
        return None

    def choose(self, scores: Any) -> int:
        if self.beyond:
            return len(scores) + 1
        raise LookupError("no epoch is good enough")


@pytest.mark.parametrize("beyond", [False, True])
def test_a_selection_that_fails_costs_its_own_cells(beyond: bool, tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """A rule that raises or chooses what is not there fails its rows, trains nothing twice and leaves the others whole."""
    board, events = run(tiny.replace(selections={**tiny.selections, "choosy": Choosy(beyond=beyond)}), tmp_path)
    assert {row.status for row in board.rows if row.selection == "choosy"} == {"error"}
    assert {row.status for row in board.rows if row.selection != "choosy"} == {"ok"}
    assert count(events, "epoch") == 12
    reasons = {row.reason for row in board.rows if row.selection == "choosy"}
    assert reasons == {"ValueError: choosy chose epoch 4 of 3" if beyond else "LookupError: no epoch is good enough"}


def test_a_forced_run_that_fails_shows_the_failure(tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """What --force was to replace is not shown as the result of the run that failed to."""
    shutil.copytree(finished, tmp_path / "copy")

    def failing(job: Job, setting: object) -> None:
        raise RuntimeError("no such luck")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nrbench.report.runner.run_job", failing)
        board, _ = run(tiny, tmp_path / "copy", force=True)
    assert {row.status for row in board.rows} == {"error"}


def test_the_last_failure_is_the_one_that_is_shown(tiny: Suite, tmp_path: Path) -> None:
    """A job that was killed once and then raises is an error from there on, and is not tried for ever."""
    for message, kind in (("killed", "killed"), ("raised", "error")):

        class Failing(Executor):
            """Fails every job."""

            name: Literal["failing"] = "failing"

            def map(
                self, work: Any, items: Any, kind: Any = kind, message: str = message
            ) -> Iterator[Outcome[Any, Any]]:
                for item in items:
                    yield Outcome(item, nrbench.Failure(kind, message))

        board, _ = run(tiny, tmp_path, executor=Failing())
        assert {row.reason for row in board.rows} == {message}
    _, events = run(tiny, tmp_path)
    assert events == []


def test_a_full_disk_ends_the_run_and_blames_no_cell(tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """When weights cannot be written the run stops with the reason; once there is room it ends with the same bytes."""
    from nrbench import StoreError
    from nrbench.base import disk

    original = disk.put

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".writing" and ".safetensors." in path.name and len(content) > 1000:
            raise OSError(28, "No space left on device")
        original(path, content)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(disk, "put", full)
        with pytest.raises(StoreError, match="No space left"):
            run(tiny, tmp_path)
    board, _ = run(tiny, tmp_path)
    assert board.failed == 0
    assert board_bytes(tmp_path) == board_bytes(finished)


def test_a_training_resumed_elsewhere_is_flagged(tiny: Suite, tmp_path: Path) -> None:
    """A training that went on under another version of torch carries both, and the board says so."""
    import nrbench.jobs.record as job_module

    def watch(happened: Event) -> None:
        if happened.kind == "epoch" and happened.epoch == 2:
            raise KeyboardInterrupt

    here = job_module.environment(torch.device("cpu"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(job_module, "environment", lambda device: here.replace(torch="0.0"))
        with pytest.raises(KeyboardInterrupt), told(watch):
            nrbench.run(tiny, options=Options(out=tmp_path))
    board, _ = run(tiny, tmp_path)
    assert {environment.torch for environment in board.environments} == {"0.0", here.torch}
    assert "mixed environments" in board.flags


def test_a_second_run_of_the_same_suite_is_refused(tiny: Suite, tmp_path: Path) -> None:
    """While a suite runs, a second run of it stops with the holder's name; another suite in the same directory runs."""
    from nrbench import StoreError
    from nrbench.jobs.lock import held

    with held(tmp_path / "tiny", wait=False):
        with pytest.raises(StoreError, match="in use by process"):
            run(tiny, tmp_path)
        board, _ = run(tiny.replace(name="other"), tmp_path)
    assert board.failed == 0


def test_the_older_checkpoint_serves_when_the_latest_is_damaged(tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """Two generations are kept: one damaged file costs one epoch."""
    longer = tiny.replace(recipe=tiny.recipe.replace(epochs=6))

    def watch(happened: Event) -> None:
        if happened.kind == "epoch" and happened.epoch == 5:
            raise KeyboardInterrupt

    for out in ("damaged", "whole"):
        with pytest.raises(KeyboardInterrupt), told(watch):
            nrbench.run(longer, options=Options(out=tmp_path / out))
    (latest,) = (tmp_path / "damaged" / "store").rglob("checkpoint-4.safetensors")
    latest.write_bytes(latest.read_bytes()[:-3])
    _, events = run(longer, tmp_path / "damaged")
    assert [event.epoch for event in events if event.kind == "epoch"][:3] == [4, 5, 6]
    run(longer, tmp_path / "whole")
    assert board_bytes(tmp_path / "damaged") == board_bytes(tmp_path / "whole")
    assert weights(tmp_path / "damaged") == weights(tmp_path / "whole")


def test_recalibrated_rows_are_those_of_plain_torch(write_suite: Write, registry: Any, tmp_path: Path) -> None:
    """Accuracies of both treatments of BatchNorm, clean and noisy, are those of stored weights displaced and judged by hand."""
    from safetensors.torch import load_file

    from nrbench.base.chance import EvaluationChance
    from nrbench.families.dataset import hold_out

    settings = ["backbones={MLP: null, ResNet: {name: resnet, depth: 8, width: 4}}", "evaluation.batch_norm=[frozen, recalibrated]",
                "recipe.epochs=1", "methods.RWP=null", "selections.chosen=null"]  # fmt: skip
    suite = load_suite(write_suite(), registry, settings=settings)
    board, _ = run(suite, tmp_path)
    data, (backbone,) = suite.datasets["synthetic"], suite.backbones.values()
    splits = data.load(tmp_path)
    kept, _ = hold_out(splits.train, suite.recipe.held_out, data.fingerprint)  # 116 images: one batch of calibration
    seen, test = ((part.images.float() / 255 - 0.5) / 0.2 for part in (kept, splits.test))

    def right(weights: dict[str, torch.Tensor], delta: Any, mode: str) -> int:
        model = backbone.build(num_classes=4, input_shape=(1, 8, 8)).eval()
        model.load_state_dict(weights)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter += delta.get(name, 0.0)
            if mode == "recalibrated":
                for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
                    norm.reset_running_stats()
                    norm.momentum = None
                model.train()(seen)
            return int((model.eval()(test).argmax(1) == splits.test.labels).sum())

    for row in board.rows:
        noise, expected = suite.noise[row.noise], []
        for seed in range(2):
            key = suite.own_trainings[TrainingLabels("SGD", "ResNet", "synthetic", seed)].key
            stored = load_file(tmp_path / "store" / "trainings" / key / "epochs" / "1.safetensors")
            model = backbone.build(num_classes=4, input_shape=(1, 8, 8))
            trainable = NetworkWeights({n: stored[n] for n, _ in model.named_parameters()}, Layout.of(model))
            chips = [EvaluationChance(backbone.fingerprint, seed, "report", draw) for draw in range(row.draws)]
            deltas = [noise.displacement(trainable, chance=chip) for chip in chips]
            expected.append(100 / 64 * sum(right(stored, delta, row.batch_norm) for delta in deltas) / row.draws)
        assert row.by_seed == pytest.approx(expected), (row.noise, row.batch_norm)
    both = [{r.noise: r.by_seed for r in board.rows if r.batch_norm == mode} for mode in ("frozen", "recalibrated")]
    assert all(both[0][noise] != both[1][noise] for noise in suite.noise), "the two treatments cannot be told apart"
