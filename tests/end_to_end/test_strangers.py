"""A directory of results, a suite or a table from a stranger is data: it is read, or refused with a reason, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor

from nrbench import (
    Claim,
    DataError,
    Dataset,
    Evidence,
    Executor,
    Images,
    Leaderboard,
    Method,
    MissingError,
    Network,
    NoiseModel,
    Options,
    Outcome,
    Registry,
    Scoring,
    Selection,
    Splits,
    Step,
    Store,
    StoreError,
    Suite,
    SuiteError,
    load_suite,
    run,
)
from nrbench.base import disk
from nrbench.base.csv import csv_models
from nrbench.base.errors import UsageError
from nrbench.families.selection import Last
from nrbench.jobs.files import write_json
from nrbench.testing import SmallDataset
from nrbench_noise import DeviceProfile
from nrbench_noise.device_profile import Point
from tests.conftest import TINY, Finished

Command = Callable[..., Finished]


@pytest.fixture
def out(tiny: Suite, tmp_path: Path) -> Path:
    """Results of a suite of one epoch."""
    run(tiny.replace(recipe=tiny.recipe.replace(epochs=1)), options=Options(out=tmp_path / "out"))
    return tmp_path / "out"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def cells(out: Path) -> list[Path]:
    return sorted(out.glob("store/cells/??/*.json"))


def changed(path: Path, **fields: Any) -> None:
    document = json.loads(path.read_bytes().partition(b"\n")[2])
    write_json(path, document | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"correct": [3121] * 3},
        {"correct": [-1] * 3},
        {"correct": [1, 2]},
        {"correct": []},
        {"images": 0},
        {"clean_correct": 65},
        {"epoch": 7},
        {"epochs": 9, "epoch": 9},
        {"training": "../../../etc"},
        {"training": "0" * 32},
        {"passes_per_step": -1.0},
    ],
    ids=str,
)
def test_results_that_no_run_could_have_had(out: Path, tiny: Suite, fields: dict[str, Any]) -> None:
    """Counts, draws, epochs and keys that are not those of the cell are moved aside, and the cell is computed again."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1))
    before = (out / "tiny" / "leaderboard.json").read_bytes()
    noisy = next(path for path in cells(out) if len(Store(out / "store").result(path.stem).correct) == 3)  # type: ignore[union-attr]
    changed(noisy, **fields)
    run(suite, options=Options(out=out))
    assert (out / "tiny" / "leaderboard.json").read_bytes() == before
    assert noisy.with_name(f"{noisy.name}.damaged").exists()


def test_links_are_not_followed(out: Path, nrbench: Command, tmp_path: Path) -> None:
    """A link in the place of a file or a directory of the store ends in exit code 5, and what it points to stays as it is."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    shutil.copytree(out / "store", tmp_path / "kept")
    for place in ("store/cells", "store/trainings"):
        shutil.rmtree(out / place)
        (out / place).symlink_to(outside)
        done = nrbench("report", out / "tiny")
        if place == "store/cells":
            assert (done.code, "is a link" in done.err) == (5, True)
        done = nrbench("import", out, "-o", tmp_path / "here")
        assert done.code in (0, 5)
        (out / place).unlink()
        shutil.copytree(tmp_path / "kept" / place.rpartition("/")[2], out / place)
    path = cells(out)[0]
    path.unlink()
    path.symlink_to(outside / "secret")
    assert nrbench("report", out / "tiny").code == 5
    assert everything(outside) == {"secret": b"secret"}
    assert not any(b"secret" in content for content in everything(tmp_path / "here").values())


@pytest.mark.parametrize("name", ["tiny/run.log", "tiny/.lock", "tiny/suite.lock.json", "tiny/.holder.json"])
def test_pipes_are_not_waited_for(out: Path, nrbench: Command, write_suite: Callable[..., Path], name: str) -> None:
    """A pipe in the place of a file is an error with a code, and no command hangs."""
    (out / name).unlink(missing_ok=True)
    os.mkfifo(out / name)
    suite = write_suite(TINY.replace("epochs: 3", "epochs: 1"))
    for command in (("report", out / "tiny"), ("status", suite, "-o", out), ("run", suite, "-o", out, "-q")):
        assert nrbench(*command).code in (0, 2, 3, 5)


def test_an_import_leaves_its_source_alone(out: Path, nrbench: Command, tmp_path: Path) -> None:
    """What is damaged there is left out and stays where it is, and so does everything else."""
    cells(out)[0].write_bytes(b"damaged")
    (out / "store" / "cells" / "zz").mkdir()
    (out / "store" / "cells" / "zz" / "no key.json").write_text("{}")
    (out / "store" / "trainings" / "no key").mkdir()
    before = everything(out)
    assert nrbench("import", out, "-o", tmp_path / "here").code == 0
    assert everything(out) == before
    assert len(cells(tmp_path / "here")) == len(before_cells := cells(out)) - 2, before_cells


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b"3", b"\xff\xfe", b'{"suites": 3}', b"[" * 100_000])
def test_a_damaged_lock_is_an_error(out: Path, nrbench: Command, content: bytes) -> None:
    """The lock of a suite that is no lock is named, without a traceback."""
    (out / "tiny" / "suite.lock.json").write_bytes(content)
    done = nrbench("report", out / "tiny")
    assert done.code == 2
    assert "suite.lock.json" in done.err


def test_keys_are_keys() -> None:
    """Nothing but 32 hexadecimal digits makes a path in a store."""
    store = Store(Path("store"))
    for key in ("../../etc/passwd", "a" * 31, "A" * 32, "", "0" * 32 + "/x"):
        with pytest.raises(StoreError):
            store.training(key)
        with pytest.raises((StoreError, UsageError)):
            store.find(key or "/")
        with pytest.raises(StoreError):
            store.result(key)


def test_names_of_drafts_from_anywhere(tmp_path: Path) -> None:
    """Hidden files with odd names are left alone, whatever they are called."""
    names = [
        ".writing",
        ".x.writing",
        "..writing",
        f".a.{disk._HOST}.99999999999999999999.u.writing",
        ".a.b.c.d.e.writing",
    ]
    for name in names:
        (tmp_path / name).write_text("mine")
    disk.sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("clean: !!bool word", "cannot read this value"),
        ("clean: !!str {name: none}", "means nothing here"),
        ("clean: !!map word", "means nothing here"),
        ("clean: {name: gaussian, sigma: 99999999999999999999}", "64 bits"),
    ],
)
def test_tags_and_numbers_beyond_reason(
    write_suite: Callable[..., Path], registry: Registry, line: str, expected: str
) -> None:
    """A tag on the wrong kind of value and an integer beyond 64 bits are located errors."""
    with pytest.raises(SuiteError, match=expected):
        load_suite(write_suite(TINY.replace("clean: {name: none}", line)), registry)


@pytest.mark.parametrize(
    "settings",
    [["seeds=1000", "noise.Gaussian {sigma}.sigma={sweep: [" + ",".join(f"0.{i:04d}" for i in range(1, 900)) + "]}"]],
)
def test_more_cells_than_anybody_runs(
    write_suite: Callable[..., Path], registry: Registry, settings: list[str]
) -> None:
    """The product of seeds and sweeps is counted before it is made."""
    with pytest.raises(SuiteError, match="cells, more than"):
        load_suite(write_suite(), registry, settings=settings)


def test_a_suite_that_is_no_file(registry: Registry, tmp_path: Path) -> None:
    """A pipe or a device in the place of a suite is refused at once."""
    os.mkfifo(tmp_path / "suite.yaml")
    with pytest.raises(SuiteError, match="no regular file"):
        load_suite(tmp_path / "suite.yaml", registry)


@pytest.mark.parametrize("number", ["1_0", "１", "٣", "1e1_0"])
def test_numbers_of_a_table_are_plain(number: str) -> None:
    """Underscores and the digits of other scripts are refused at their line."""
    with pytest.raises(ValueError, match=r"line 3: .* no plain number"):
        csv_models(f"magnitude,mean,std\n0,0,0.1\n{number},0,0.1\n".encode(), Point)


def test_a_table_in_conductances(tmp_path: Path) -> None:
    """With its g_max it is the same device as the table that was divided by it; without, it is refused at its line."""
    (tmp_path / "own.csv").write_text("magnitude,mean,std\n0,0,0.5\n25,1,2\n")
    file = str(tmp_path / "own.csv")
    divided = [{"magnitude": 0, "std": 0.02}, {"magnitude": 1, "mean": 0.04, "std": 0.08}]
    profile = DeviceProfile.model_validate({"table": file, "g_max": 25})
    assert profile.points == DeviceProfile.model_validate({"table": divided}).points
    with pytest.raises(ValueError, match="line 3: magnitude: 25 is beyond 1"):
        DeviceProfile.model_validate({"table": file})


def test_marks_that_turn_text_are_not_shown(nrbench: Command, write_suite: Callable[..., Path]) -> None:
    """Control characters and marks of direction in a suite reach neither error messages nor a page."""
    done = nrbench("validate", write_suite(TINY.replace("name: mlp", 'name: "m\\u202elp\\x1b[31m"')))
    assert done.code == 2
    assert not {"\u202e", "\x1b"} & set(done.err)


class Loose(Dataset):
    """Images that lie where data are kept and are in no key."""

    name: Literal["loose"] = "loose"
    by_content: ClassVar[bool] = False  # type: ignore[misc]

    def load(self, root: Path) -> Splits:
        splits = SmallDataset().load(root)
        first = splits.train.labels.clone()
        first[0] = len(root.name) % 3
        return replace(splits, train=Images(splits.train.images, first))


def test_images_that_were_replaced_under_a_key(tiny: Suite, tmp_path: Path) -> None:
    """Files that are in no key are an error when they are not those that stored results were computed with."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1), datasets={"loose": Loose()})
    board = run(suite, options=Options(out=tmp_path, data=tmp_path / "a"))
    longer = suite.replace(seeds=3)
    for asked in (longer, suite):  # also where nothing is left to compute
        with pytest.raises(DataError, match="are others than those that results"):
            run(asked, options=Options(out=tmp_path, data=tmp_path / "bb"))
    assert run(suite, options=Options(out=tmp_path, data=tmp_path / "a")).json_bytes() == board.json_bytes()
    assert run(longer, options=Options(out=tmp_path, data=tmp_path / "a")).failed == 0


def test_values_nearer_than_six_digits_have_labels_of_their_own(
    write_suite: Callable[..., Path], registry: Registry
) -> None:
    """As many digits are shown as tell swept values apart, and no more where six do."""
    suite = load_suite(
        write_suite(), registry, settings=["noise.Gaussian {sigma}.sigma={sweep: [0.1000001, 0.1000002, 0.2]}"]
    )
    assert list(suite.noise)[1:] == ["Gaussian 0.1000001", "Gaussian 0.1000002", "Gaussian 0.2"]


def test_a_file_that_a_component_reads_is_a_file(tmp_path: Path) -> None:
    """A pipe in the place of a table is refused at once."""
    os.mkfifo(tmp_path / "own.csv")
    with pytest.raises(ValueError, match="no regular file"):
        DeviceProfile.model_validate({"table": str(tmp_path / "own.csv")})


def test_results_about_other_images(out: Path, tiny: Suite) -> None:
    """Counts of another number of images than the data set has are set aside, whatever their shares are."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1))
    path = cells(out)[0]
    changed(
        path, images=1, correct=[1] * len(json.loads(path.read_bytes().partition(b"\n")[2])["correct"]), clean_correct=1
    )
    board = Leaderboard.of(suite, Store(out / "store"))
    assert sorted({row.status for row in board.rows}) == ["incomplete", "ok"]


@pytest.mark.parametrize("place", ["tiny/figures", "tiny/logs", "tiny", "store"])
def test_directories_that_are_links(
    out: Path, nrbench: Command, write_suite: Callable[..., Path], tmp_path: Path, place: str
) -> None:
    """Neither `report` nor `run` writes, renames or removes anything behind a link in a directory of results."""
    outside = tmp_path / "outside"
    shutil.rmtree(out / place, ignore_errors=True)
    outside.mkdir()
    (outside / "1.svg").write_text("mine")
    (outside / "precious.svg").write_text("mine")
    (out / place).symlink_to(outside)
    suite = write_suite(TINY.replace("epochs: 3", "epochs: 1"))
    for command in (("report", out / "tiny"), ("run", suite, "-o", out, "-q")):
        assert nrbench(*command).code in ((0, 5) if place == "tiny/logs" else (2, 5))
    assert everything(outside) == {"1.svg": b"mine", "precious.svg": b"mine"}


def test_files_of_any_size(out: Path, nrbench: Command, write_suite: Callable[..., Path]) -> None:
    """A file of terabytes in the place of a result, a record or a log is an error, or read at its end, at once."""
    suite = write_suite(TINY.replace("epochs: 3", "epochs: 1"))
    for path in (cells(out)[0], next(out.glob("store/trainings/*/record.json")), out / "tiny" / "run.log"):
        kept = path.read_bytes()
        os.truncate(path, 2**42)
        for command in (("report", out / "tiny"), ("status", suite, "-o", out)):
            assert nrbench(*command).code in (0, 1, 5)
        path.write_bytes(kept)


class Lying(Executor):
    """Brings back what it likes."""

    name: Literal["lying"] = "lying"
    how: str

    def map(self, work: Any, items: Any) -> Any:
        jobs = list(items)
        for job in jobs:
            result: Any = work(job)
            if self.how == "swapped":
                keys = list(result)
                result = dict(zip(keys, [result[key] for key in reversed(keys)], strict=True))
            if self.how == "zero":
                result = {key: each.replace(correct=(0,) * len(each.correct)) for key, each in result.items()}
            if self.how == "exit":
                raise SystemExit(0)
            yield {"nothing": None, "number": 3}.get(self.how, Outcome(jobs[0] if self.how == "twice" else job, result))


@pytest.mark.parametrize("how", ["swapped", "zero"])
def test_an_executor_that_changes_results(tiny: Suite, tmp_path: Path, how: str) -> None:
    """What stands on the board is what the store holds."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1))
    honest = run(suite, options=Options(out=tmp_path / "honest")).json_bytes()
    assert run(suite, options=Options(out=tmp_path / how, executor=Lying(how=how))).json_bytes() == honest


@pytest.mark.parametrize("how", ["nothing", "number", "exit"])
def test_an_executor_that_brings_nothing_back(tiny: Suite, tmp_path: Path, how: str) -> None:
    """It ends the run with an error that names it, never with success, and what was finished is stored."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1))
    with pytest.raises(MissingError, match="the executor lying failed; what was finished is stored"):
        run(suite, options=Options(out=tmp_path, executor=Lying(how=how)))
    assert run(suite, options=Options(out=tmp_path)).failed == 0


class Leaving(Dataset):
    name: Literal["leaving"] = "leaving"

    def load(self, root: Path) -> Splits:
        raise SystemExit(0)


def test_a_data_set_that_leaves(tiny: Suite, tmp_path: Path) -> None:
    """An exit in a plugin's loading is an error about the data, and no success."""
    with pytest.raises(DataError, match="the data set leaving cannot be loaded: SystemExit: 0"):
        run(tiny.replace(datasets={"x": Leaving()}), options=Options(out=tmp_path))


class Refusing(Method):
    """Raises what would be nrbench's own refusal."""

    name: Literal["refusing"] = "refusing"

    def backward(self, step: Step) -> Tensor:
        raise DataError("there is no data, says the method")


def test_a_method_that_refuses_costs_itself(tiny: Suite, tmp_path: Path) -> None:
    """An error of nrbench's own kinds from a method is that method's failure, and the others are trained."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1), methods={"R": Refusing(), **tiny.methods})
    board = run(suite, options=Options(out=tmp_path))
    assert {row.method for row in board.rows if row.status == "error"} == {"R"}
    assert {row.status for row in board.rows if row.method != "R"} == {"ok"}


class Odd(Selection):
    """Chooses what is no epoch, or raises."""

    name: Literal["odd"] = "odd"
    how: str

    def scoring(self, noise: NoiseModel) -> Scoring | None:
        if self.how == "raises":
            raise RuntimeError("no")
        return None

    def choose(self, scores: Any) -> Any:
        torch.set_default_dtype(torch.float64)
        return 1.0


@pytest.mark.parametrize("how", ["raises", "chooses"])
def test_a_rule_that_fails_costs_its_own_cells(tiny: Suite, tmp_path: Path, how: str) -> None:
    """The rows of another rule beside it are those of a suite without it."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1), selections={"last": Last()})
    alone = run(suite, options=Options(out=tmp_path / "alone"))
    both = suite.replace(selections={"odd": Odd(how=how), "last": Last()})
    board = run(both, options=Options(out=tmp_path / "both"))
    assert [row for row in board.rows if row.selection == "last"] == list(alone.rows)
    assert {row.status for row in board.rows if row.selection == "odd"} == {"error"}


class Ruining(Scoring):
    """A scoring of a stranger's that ruins what it is lent and then counts."""

    name: Literal["ruining"] = "ruining"  # type: ignore[assignment]
    how: str

    def measured(self, network: Network, data: Any, chips: Any) -> dict[str, float]:
        if self.how == "count":
            return {"correct": 10.0**9}
        data["test"].images.zero_()
        data["test"].labels.zero_()
        network.model.register_forward_hook(lambda *all: all[-1] * 0)
        return {"correct": 3.0}

    @classmethod
    def measured_together(cls, probes: Any, network: Network, data: Any, chips: Any) -> list[dict[str, float]]:
        return [probe.measured(network, data, chips) for probe in probes]


class Ruined(Selection):
    name: Literal["ruined"] = "ruined"
    how: str

    def scoring(self, noise: NoiseModel) -> Scoring:
        return Ruining(noise=noise, how=self.how)

    def choose(self, scores: Any) -> int:
        return len(scores)


@pytest.mark.parametrize("how", ["data", "count"])
def test_a_probe_that_ruins_what_it_is_lent(tiny: Suite, tmp_path: Path, how: str) -> None:
    """Images, labels and networks that a stranger's probe writes to are copies; a count that cannot be costs its own cells."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1), selections={"last": Last()})
    alone = run(suite, options=Options(out=tmp_path / "alone"))
    board = run(
        suite.replace(selections={"ruined": Ruined(how=how), "last": Last()}), options=Options(out=tmp_path / "both")
    )
    assert [row for row in board.rows if row.selection == "last"] == list(alone.rows)
    assert {row.status for row in board.rows if row.selection == "ruined"} == {"error" if how == "count" else "ok"}


class Grasping(Claim):
    """Writes to its evidence, leaves, or returns nothing."""

    name: Literal["grasping"] = "grasping"
    how: str

    def verdict(self, evidence: Evidence) -> Any:
        for row in evidence.rows:
            object.__setattr__(row, "accuracy", 99.0)
        if self.how == "leaves":
            raise SystemExit(0)


@pytest.mark.parametrize("how", ["leaves", "nothing"])
def test_a_claim_that_takes_liberties(tiny: Suite, tmp_path: Path, how: str) -> None:
    """It is undecided with what it raised, and no number on the board is its doing."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1))
    alone = run(suite, options=Options(out=tmp_path))
    board = run(suite.replace(claims={"C": Grasping(text="x", how=how)}), options=Options(out=tmp_path))
    assert board.rows == alone.rows
    assert {claim.measured.verdict for claim in board.claims} == {"undecided"}


def test_another_suite_of_the_same_name(tiny: Suite, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its leaderboard takes the place of the first, which is kept beside it, and it is said."""
    suite = tiny.replace(recipe=tiny.recipe.replace(epochs=1))
    run(suite, options=Options(out=tmp_path))
    before = (tmp_path / "tiny" / "leaderboard.json").read_bytes()
    run(suite.replace(seeds=1), options=Options(out=tmp_path))
    (kept,) = (tmp_path / "tiny").glob("before-*")
    assert (kept / "leaderboard.json").read_bytes() == before
    assert f"it is in {kept.name} now" in caplog.text


def test_json_that_no_terminal_obeys(tiny: Suite, tmp_path: Path) -> None:
    """What cannot be printed is escaped in leaderboard.json, and reads as it was."""
    board = run(tiny.replace(recipe=tiny.recipe.replace(epochs=1)), options=Options(out=tmp_path))
    odd = board.model_copy(update={"suite": "a\x9b\u202e\x1bσ"})
    assert odd.json_bytes().decode().strip().isprintable()
    assert json.loads(odd.json_bytes())["suite"] == "a\x9b\u202e\x1bσ"
