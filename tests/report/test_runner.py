from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

import nrbench
from nrbench import (
    Cell,
    Component,
    Executor,
    Leaderboard,
    NoiseModel,
    Options,
    Outcome,
    Suite,
    hookimpl,
    load_registry,
    load_suite,
)
from nrbench.base.errors import DataError, MissingError
from nrbench.base.log import Event
from nrbench.families.executor import Serial
from nrbench.jobs.device import find_device
from nrbench.jobs.job import Job
from nrbench.jobs.plan import plan
from nrbench.jobs.processes import Processes
from nrbench.jobs.store import Store
from tests.conftest import TINY

Write = Callable[..., Path]


def board_bytes(out: Path, name: str = "tiny") -> bytes:
    return (out / name / "leaderboard.json").read_bytes()


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
        key = tiny.training("synthetic", "MLP", "SGD", seed).key
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

    with pytest.raises(KeyboardInterrupt):
        nrbench.run(tiny, options=Options(out=tmp_path), watch=watch)
    _, events = run(tiny, tmp_path)
    assert board_bytes(tmp_path) == board_bytes(finished)
    assert weights(tmp_path) == weights(finished)
    assert count(events, "epoch") == 12 - (3 * (event // 5) + max(0, event % 5 - 1))


def test_a_training_goes_on_from_its_last_epoch(tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """Stopped when the third epoch was announced, two are not trained again."""

    def watch(happened: Event) -> None:
        if happened.kind == "epoch" and happened.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nrbench.run(tiny, options=Options(out=tmp_path), watch=watch)
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
    """Cells left out are shown as incomplete, never as zero, and computed later without touching the others."""
    board, _ = run(tiny, tmp_path, only=["SGD"])
    assert {row.status for row in board.rows if row.method == "RWP"} == {"incomplete"}
    assert {row.status for row in board.rows if row.method == "SGD"} == {"ok"}
    board, events = run(tiny, tmp_path)
    assert board.failed == 0
    assert count(events, "epoch") == 6


@pytest.mark.parametrize("what", ["cells", "epochs", "record", "weights gone"])
def test_damage_costs_what_it_hit(what: str, tiny: Suite, finished: Path, tmp_path: Path) -> None:
    """A damaged result, weight file or record is computed again, and the board is the same as before."""
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
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
    board, _ = run(tiny, out)
    assert board.failed == 0
    assert board_bytes(out) == board_bytes(finished)


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


def test_precision_auto_is_made_concrete(tiny: Suite) -> None:
    """`auto` is resolved for the device before any key is made."""
    auto = tiny.replace(recipe=tiny.recipe.replace(precision="auto")).for_device(torch.device("cpu"))
    assert auto.recipe.precision in ("float32", "bfloat16")


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


def test_run_takes_a_path_and_a_name(write_suite: Write, tmp_path: Path, finished: Path) -> None:
    """`nrbench.run` takes a file, with settings, and returns what it wrote."""
    board = nrbench.run(write_suite(), options=Options(out=tmp_path), settings=["seeds=1"])
    assert board == Leaderboard.from_json(board.json_bytes()) or board.json_bytes() == board_bytes(tmp_path)
    assert "fewer than 3 seeds" in board.flags


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
    import nrbench.jobs.job as job_module

    def watch(happened: Event) -> None:
        if happened.kind == "epoch" and happened.epoch == 2:
            raise KeyboardInterrupt

    here = job_module.environment(torch.device("cpu"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(job_module, "environment", lambda device: here.replace(torch="0.0"))
        with pytest.raises(KeyboardInterrupt):
            nrbench.run(tiny, options=Options(out=tmp_path), watch=watch)
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
        with pytest.raises(KeyboardInterrupt):
            nrbench.run(longer, options=Options(out=tmp_path / out), watch=watch)
    (latest,) = (tmp_path / "damaged" / "store").rglob("checkpoint-4.safetensors")
    latest.write_bytes(latest.read_bytes()[:-3])
    _, events = run(longer, tmp_path / "damaged")
    assert [event.epoch for event in events if event.kind == "epoch"][:3] == [4, 5, 6]
    run(longer, tmp_path / "whole")
    assert board_bytes(tmp_path / "damaged") == board_bytes(tmp_path / "whole")
    assert weights(tmp_path / "damaged") == weights(tmp_path / "whole")
