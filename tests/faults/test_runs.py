"""Whole runs that are killed, stopped, started twice, or whose workers misbehave."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nrbench.jobs.lock import holder
from tests.faults.victims import SUITE

LONG = SUITE.replace("epochs: 3", "epochs: 40").replace("seeds: 1", "seeds: 3")


def command(verb: str, suite: Path, out: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "nrbench", verb, str(suite), "-o", str(out), *flags]


def finish(suite: Path, out: Path, *flags: str) -> bytes:
    """Run a suite to its end and return its board."""
    subprocess.run(command("run", suite, out, "-q", *flags), check=True, capture_output=True, timeout=900)
    return (out / "victim" / "leaderboard.json").read_bytes()


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "victim.yaml"
    path.write_text(LONG)
    return path


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_killed_again_and_again(suite: Path, tmp_path: Path, kills: int) -> None:
    """The whole process group is killed at random instants and started again; the board is that of an undisturbed run."""
    chance = random.Random(0)
    expected = finish(suite, tmp_path / "whole", "-x", "serial")
    out = tmp_path / "killed"
    killed = whole = 0
    while killed < kills:
        process = subprocess.Popen(
            command("run", suite, out, "-q", "-j", "2"), start_new_session=True, stdout=-3, stderr=-3
        )
        try:
            process.wait(timeout=chance.uniform(2.5, 6.5))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        else:  # it was through before its time: once more from the start
            assert (out / "victim" / "leaderboard.json").read_bytes() == expected
            shutil.rmtree(out)
            whole += 1
    assert finish(suite, out, "-j", "2") == expected
    assert not list(out.rglob("*.writing")), "drafts of the dead are left"
    print(f"{killed} kills, {whole + 1} boards")


SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("executor", "number", "rounds"),
    [
        ("processes", signal.SIGINT, 1),
        ("serial", signal.SIGTERM, 1),
        *(
            pytest.param(executor, number, 5, marks=SLOW)
            for executor in ("serial", "processes")
            for number in (signal.SIGINT, signal.SIGTERM)
        ),
    ],
)
def test_stopped_at_random_times(suite: Path, tmp_path: Path, executor: str, number: int, rounds: int) -> None:
    """A signal ends the run with exit code 75 within 20 seconds, or comes too late; then it resumes to the same bytes."""
    chance = random.Random(number)
    out = tmp_path / "stopped"
    for _ in range(rounds):
        process = subprocess.Popen(
            command("run", suite, out, "-x", executor), stdout=-3, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        process.stderr.readline()  # the plan: from here on signals are handled
        time.sleep(chance.uniform(0, 3))
        process.send_signal(number)
        start = time.monotonic()
        process.communicate(timeout=900)
        assert time.monotonic() - start < 20
        through = (out / "victim" / "leaderboard.json").exists()  # then the signal may meet a process on its way out
        assert process.returncode in ((75, 0, 130, -number) if through else (75,))
    assert finish(suite, out) == finish(suite, tmp_path / "whole", "-x", "serial")


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_two_runs_at_once(tmp_path: Path, rounds: int) -> None:
    """While one run holds a suite a second one is told who and ends with 5; another suite in the same directory ends well."""
    suite, other = tmp_path / "victim.yaml", tmp_path / "other.yaml"
    suite.write_text(LONG)
    other.write_text(LONG.replace("name: victim", "name: other"))
    for number in range(rounds):
        out = tmp_path / str(number)
        first = subprocess.Popen(command("run", suite, out, "-q", "-x", "serial"), stdout=-3, stderr=-3)
        try:
            while holder(out / "victim") is None:
                assert first.poll() is None, "it was through before it could be seen"
                time.sleep(0.01)
            first.send_signal(signal.SIGSTOP)  # it holds the suite for as long as the second takes to find out
            second = subprocess.run(command("run", suite, out, "-q"), capture_output=True, text=True, timeout=900)
            assert (second.returncode, second.stdout) == (5, "")
            assert f"is in use by process {first.pid} " in second.stderr
            first.send_signal(signal.SIGCONT)
            third = subprocess.run(command("run", other, out, "-q", "-x", "serial"), capture_output=True, timeout=900)
            assert (first.wait(120), third.returncode) == (0, 0)
        finally:
            first.kill()
        boards = [json.loads((out / name / "leaderboard.json").read_bytes()) for name in ("victim", "other")]
        assert boards[0]["rows"] == boards[1]["rows"]


PLUGIN = """
import os, sys, time
from typing import Literal
from nrbench import Method, hookimpl

class Dying(Method):
    \"\"\"Dies in the way it is told.\"\"\"
    name: Literal["dying"] = "dying"
    how: str
    rampable = False

    def backward(self, step):
        if self.how == "vanish": os._exit(0)
        if self.how == "leave": sys.exit(0)
        if self.how == "abort": os.abort()
        if self.how == "hang": time.sleep(600)
        if self.how == "starve": raise MemoryError("no more")
        if self.how == "flood":
            for _ in range(3000): print("x" * 10000)
            raise RuntimeError("drowned")
        return step.backward()

@hookimpl
def nrbench_components():
    return [Dying]
"""


def test_every_way_a_worker_can_die(tmp_path: Path) -> None:
    """Workers that vanish, leave, abort, hang, starve or flood their log are rows that say so; all else is whole."""
    site = tmp_path / "site"
    info = site / "dying-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "dying.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dying\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nrbench]\ndying = dying\n")
    ways = {
        "vanish": "killed",
        "leave": "error",
        "abort": "killed",
        "hang": "timeout",
        "starve": "out_of_memory",
        "flood": "error",
    }
    suite = tmp_path / "victim.yaml"
    methods = ", ".join(f"{way}: {{name: dying, how: {way}}}" for way in ways)
    suite.write_text(SUITE.replace("methods: {", f"methods: {{{methods}, "))
    done = subprocess.run(
        command("run", suite, tmp_path / "out", "-j", "2", "--timeout", "15", "-q", "--json"),
        env=os.environ | {"PYTHONPATH": str(site) + os.pathsep + os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 1
    status = {(row["method"], row["status"]) for row in json.loads(done.stdout)["rows"]}
    assert status == {*ways.items(), ("SGD", "ok"), ("RWP", "ok")}
    logs = list((tmp_path / "out" / "victim" / "logs").glob("*.log"))
    (flood,) = [path for path in logs if path.stat().st_size > 2**16]  # the killed leave empty ones
    assert set(flood.read_text()) == {"x", "\n"}, "the flood is in a file"
    assert 2**19 <= flood.stat().st_size < 2 * 2**20, "and its end is kept and bounded"
