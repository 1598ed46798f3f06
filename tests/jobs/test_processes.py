from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from nrbench import Failure
from nrbench.families.executor import Serial
from nrbench.jobs.job import Setting
from nrbench.jobs.processes import Processes

ROOT = Path(__file__).parent.parent.parent


def vanish(item: int) -> int:
    """Ends the process without a word when the item is 2."""
    if item == 2:
        os._exit(0)
    return item


def crash(item: int) -> int:
    """Aborts when the item is 2, as a segmentation fault would."""
    if item == 2:
        os.abort()
    return item


def linger(item: int) -> int:
    """Takes a minute for the item 2."""
    time.sleep(60 if item == 2 else 0)
    return item


def unsendable(item: int) -> object:
    """Returns what cannot travel between processes for the item 2."""
    return (lambda: item) if item == 2 else item


def starve(item: int) -> int:
    """Runs out of memory for the item 2."""
    if item == 2:
        raise MemoryError("too big")
    return item


def leave(item: int) -> int:
    """Calls sys.exit for the item 2."""
    if item == 2:
        sys.exit(0)
    return item


def unlucky(path: str) -> str:
    """Is killed from outside the first two times it works on a path, or every time if the path is "never"."""
    marks = Path(path)
    if path == "never" or len(marks.read_text()) < 2:
        if path != "never":
            marks.write_text(marks.read_text() + "x")
        os.kill(os.getpid(), signal.SIGKILL)
    return path


def test_a_worker_killed_from_outside_is_given_another_chance(tmp_path: Path) -> None:
    """An item whose worker was killed is tried again, a bounded number of times."""
    lucky = tmp_path / "marks"
    lucky.write_text("")
    outcomes = {outcome.item: outcome.result for outcome in Processes(jobs=2).map(unlucky, [str(lucky), "never"])}
    assert outcomes[str(lucky)] == str(lucky)
    assert outcomes["never"] == Failure("killed", "its process was ended by signal 9", exit_code=-9)


def test_a_worker_sees_the_gpu_of_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places go round the GPUs that are visible; a GPU asked for by number, and a process without a place, stay as they are."""
    setting = Setting(Path("store"), Path("data"), "cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    assert setting.own_device() == torch.device("cuda", 0)
    assert replace(setting, device="cuda:1").own_device() == torch.device("cuda", 1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,7"
    monkeypatch.setenv("NRBENCH_WORKER", "3")
    for _ in range(2):  # the second job of the same worker
        assert setting.own_device() == torch.device("cuda", 0)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"
    assert replace(setting, device="cpu").own_device() == torch.device("cpu")


class Unloadable:
    """An item that cannot be unpacked in another process."""

    def __reduce__(self) -> tuple[object, ...]:
        return int, ("no number",)


class Unsendable:
    """An item that cannot be packed."""

    def __reduce__(self) -> tuple[object, ...]:
        raise ValueError("it stays here")


@pytest.mark.parametrize(("bad", "message"), [(Unloadable(), "no number"), (Unsendable(), "it stays here")])
def test_an_item_that_cannot_travel_costs_no_other(bad: object, message: str) -> None:
    """It is a failure with the reason, and all others have their values."""
    outcomes = {outcome.item: outcome.result for outcome in Processes(jobs=2).map(identity, [0, bad, 1, 2])}
    failure = outcomes.pop(bad)
    assert outcomes == {0: 0, 1: 1, 2: 2}
    assert isinstance(failure, Failure)
    assert message in failure.message


def test_an_exit_is_a_failure_in_this_process_too() -> None:
    """sys.exit(0) in a plugin ends neither the run nor, with success, the command."""
    outcomes = {outcome.item: outcome.result for outcome in Serial().map(leave, range(4))}
    assert isinstance(outcomes.pop(2), Failure)
    assert outcomes == {0: 0, 1: 1, 3: 3}


def test_workers_leave_with_the_process_that_started_them(tmp_path: Path) -> None:
    """When a run is killed with SIGKILL its workers do not go on writing."""
    code = (
        "from nrbench import Processes\nfrom tests.jobs.test_processes import beat\n"
        f"list(Processes(jobs=2).map(beat, [{str(tmp_path / 'a')!r}, {str(tmp_path / 'b')!r}]))"
    )
    process = subprocess.Popen([sys.executable, "-c", f"if __name__ == '__main__':\n  exec({code!r})"], cwd=ROOT)
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.05)
    process.kill()
    process.wait()
    before, now = [""], []
    while before != now:  # the test's own limit ends it where they stay
        before = [path.read_text() for path in tmp_path.iterdir()]
        time.sleep(2)
        now = [path.read_text() for path in tmp_path.iterdir()]


def beat(path: str) -> None:
    """Writes the time into a file, again and again."""
    while True:
        Path(path).write_text(str(time.time()))
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("work", "kind", "message"),
    [
        (leave, "error", "SystemExit"),
        (vanish, "killed", "exit code 0"),
        (crash, "killed", "ended by signal 6"),
        (linger, "timeout", "more than 5 s"),
        (unsendable, "killed", ""),
        (starve, "out_of_memory", "too big"),
    ],
)
def test_a_worker_that_dies_costs_its_own_item(work: Callable[[int], int], kind: str, message: str) -> None:
    """Whatever happens to a worker, its item is a failure of the right kind and every other item has its value."""
    outcomes = {outcome.item: outcome.result for outcome in Processes(jobs=2, timeout=5).map(work, range(5))}
    failure = outcomes.pop(2)
    assert outcomes == {0: 0, 1: 1, 3: 3, 4: 4}
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert message in failure.message


def identity(item: object) -> object:
    return item


def test_workers_get_the_memory_settings_and_this_process_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers start with freed memory kept; variables that a user set are left as they are."""
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    (outcome,) = Processes(jobs=1).map(os.getenv, ["MALLOC_TRIM_THRESHOLD_"])
    assert outcome.result == str(2**32)
    assert "MALLOC_TRIM_THRESHOLD_" not in os.environ
    assert os.environ["MALLOC_TOP_PAD_"] == "1"


def test_nothing_to_do_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without items there are no outcomes and no pool of workers is made."""
    monkeypatch.setattr("nrbench.jobs.processes.ProcessPool", None)
    assert list(Processes().map(identity, [])) == list(Serial().map(identity, [])) == []
    with pytest.raises(TypeError):  # the canary: with an item one is
        list(Processes(jobs=1).map(identity, [1]))


def number(item: int, folder: Path) -> str | None:
    """The number of the worker that the item is at, told once its partner (0 and 1, 2 and 3, …) is being worked at too; the item 2 kills its worker."""
    (folder / str(item)).touch()
    deadline = time.monotonic() + 60
    while not (folder / str(item ^ 1)).exists():
        assert time.monotonic() < deadline, "the partner never came"
        time.sleep(0.01)
    if item == 2:
        os.kill(os.getpid(), signal.SIGABRT)
    return os.environ.get("NRBENCH_WORKER")


def test_workers_have_numbers(tmp_path: Path) -> None:
    """Items that run at once have different numbers, of as many as there are workers, also after one of them died."""
    found = {
        outcome.item: outcome.result for outcome in Processes(jobs=2).map(partial(number, folder=tmp_path), range(8))
    }
    assert isinstance(found.pop(2), Failure)
    assert found.pop(3) in ("0", "1")
    for item in (0, 4, 6):
        assert {found[item], found[item + 1]} == {"0", "1"}
