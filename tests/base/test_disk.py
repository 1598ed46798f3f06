from __future__ import annotations

import itertools
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nrbench import StoreError
from nrbench.base import disk


def test_a_write_is_read_and_has_the_usual_permissions(tmp_path: Path) -> None:
    """What is written is read back, directories are made, and the mode is that of any new file."""
    disk.write(tmp_path / "a" / "b", b"content")
    assert disk.read(tmp_path / "a" / "b") == b"content"
    assert disk.read(tmp_path / "nothing") is None
    (tmp_path / "usual").write_text("")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "usual", tmp_path / "a" / "b")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize(
    ("step", "number", "left"),
    [("put", 1, b"old"), ("synchronise", 1, b"old"), ("rename", 1, b"old"), ("synchronise", 2, b"new")],
)
def test_a_write_that_fails_leaves_a_whole_file(
    tmp_path: Path, step: str, number: int, left: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a step fails the file is the old or the new one, nothing is left over, and path and free space are named."""
    path = tmp_path / "file"
    disk.write(path, b"old")

    original, calls = getattr(disk, step), itertools.count(1)

    def full(*arguments: object) -> None:
        if next(calls) == number:
            raise OSError(28, "No space left on device")
        original(*arguments)

    monkeypatch.setattr(disk, step, full)
    with pytest.raises(StoreError, match=r"file.*No space left.*MiB free"):
        disk.write(path, b"new")
    assert path.read_bytes() == left
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_drafts_of_the_dead_are_swept_and_nothing_else(tmp_path: Path) -> None:
    """Leftovers of a killed process go; those of a living one, of another host, and unknown files stay."""
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    names = {
        f".x.json.{disk._HOST}.{dead.stdout.strip()}.abc.writing": False,
        f".x.json.{disk._HOST}.{os.getpid()}.abc.writing": True,
        f".x.json.elsewhere.{dead.stdout.strip()}.abc.writing": True,
        ".writing": True,
        "notes.txt": True,
        f"trainings/key/epochs/.1.safetensors.{disk._HOST}.{dead.stdout.strip()}.abc.writing": False,
    }
    (tmp_path / "trainings" / "key" / "epochs").mkdir(parents=True)
    for name in names:
        (tmp_path / name).write_text("")
    disk.sweep(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names


def test_lines_of_many_writers_do_not_mix(tmp_path: Path) -> None:
    """Eight threads add lines at once; every line arrives whole."""
    path = tmp_path / "log"

    def work(letter: str) -> None:
        for _ in range(50):
            disk.append(path, letter * 200)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = path.read_text().splitlines()
    assert len(lines) == 400
    assert all(line == line[0] * 200 for line in lines)


def test_every_change_of_a_file_goes_through_the_disk() -> None:
    """No other module of the source opens for writing, renames or removes, by a method or by the built-in `open`."""
    import ast

    forbidden = {
        "write_text", "write_bytes", "touch", "unlink", "rename", "renames", "rmdir", "mkdir", "makedirs", "rmtree",
        "open", "fdopen", "copyfile", "copytree", "move_file", "save_file",
    }  # fmt: skip
    root = Path(disk.__file__).parent
    for path in root.rglob("*.py"):
        if path.name in ("disk.py", "joblog.py"):  # what a job prints is no result
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            of_os = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in ("os", "shutil")
            if called in forbidden or (of_os and called in ("remove", "replace", "move", "copy", "truncate")):
                allowed = ast.unparse(node).startswith(("os.open(os.devnull", "self.path.open('rb')"))
                assert allowed, f"{path.name}: {ast.unparse(node)}"
