"""The environment as it is: whatever is wrong with it ends in a documented exit code, without a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

NRBENCH = [sys.executable, "-m", "nrbench"]


def told(command: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*NRBENCH, *command], stderr=subprocess.PIPE, timeout=900, check=False, **more)


def test_a_full_output_is_exit_5() -> None:
    """A disk that is full behind standard output is said, and is no success."""
    with Path("/dev/full").open("wb") as full:
        done = told(["ls"], stdout=full)
    assert done.returncode == 5
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_closed_outputs_are_no_error() -> None:
    """A command whose outputs were closed before it began does its work."""
    line = " ".join([*NRBENCH, "ls", "noise", ">&-", "2>&-"])
    assert subprocess.run(["bash", "-c", line], timeout=900, check=False).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_encoding_is_written_to(encoding: str) -> None:
    """What an encoding lacks is no error."""
    done = told(["show", "gaussian"], stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": encoding})
    assert done.returncode == 0
    assert b" = sigma" in done.stdout
    assert not done.stderr


def test_a_working_directory_that_is_gone_is_exit_5(tmp_path: Path) -> None:
    """It is said before anything that would end the process in its own way is loaded."""
    (tmp_path / "gone").mkdir()
    line = f"cd {tmp_path / 'gone'} && rmdir {tmp_path / 'gone'} && " + " ".join([*NRBENCH, "validate", "quickstart"])
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=900, check=False)
    assert done.returncode == 5
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["x" * 300, "loop/a"], ids=["long", "loop"])
def test_directories_that_cannot_be_are_exit_5(tmp_path: Path, name: str) -> None:
    """A name that is too long and a loop of links are named."""
    (tmp_path / "loop").symlink_to("loop")
    done = told(["run", "quickstart", "-q", "-o", str(tmp_path / name)], stdout=subprocess.PIPE)
    assert done.returncode == 5
    assert b"Traceback" not in done.stderr


def test_a_signal_while_torch_is_imported_is_exit_75(tmp_path: Path) -> None:
    """A run that is stopped before it began says that it can go on."""
    command = [*NRBENCH, "run", "quickstart", "-q", "-o", str(tmp_path)]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while "libtorch" not in Path(f"/proc/{started.pid}/maps").read_text():
        time.sleep(0.01)
    started.send_signal(signal.SIGTERM)
    _, said = started.communicate(timeout=900)
    assert started.returncode == 75
    assert b"Traceback" not in said
