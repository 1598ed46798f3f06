"""Death, errors and damage at every point where something is written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nrbench import Registry, Suite, load_suite
from nrbench.base import disk
from tests.faults.victims import DEAD, SUITE, at_step, board, in_child, operations, run

QUICK = 20
"""Every how manieth operation is tried in the ordinary tests; the slow ones try all."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    from nrbench import load_registry

    path = tmp_path_factory.mktemp("suite") / "victim.yaml"
    path.write_text(SUITE)
    return load_suite(path, load_registry())


@pytest.fixture(scope="module")
def undisturbed(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The results of a run that nothing happened to, and the number of its operations on the disk."""
    out = tmp_path_factory.mktemp("undisturbed")
    return out, operations(suite, out)


def numbers(count: int, *, every: bool) -> range:
    return range(1, count + 1, 1 if every else QUICK)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_death_at_any_operation(
    suite: Suite, undisturbed: tuple[Path, int], tmp_path: Path, after: bool, every: bool
) -> None:
    """Killed before or after the n-th operation (each, or each 20th) the run resumes to the same bytes and leaves no drafts."""
    whole, count = undisturbed
    for number in numbers(count, every=every):
        out = tmp_path / str(number)

        def killed(number: int = number, out: Path = out) -> None:
            at_step(number, lambda: os._exit(DEAD), after=after)
            run(suite, out)

        assert in_child(killed) == DEAD, number
        assert in_child(lambda out=out: run(suite, out)) == 0, number
        assert board(out) == board(whole), number
        assert not list(out.rglob("*.writing")), f"{number}: drafts of the dead are left"
        shutil.rmtree(out)
    print(f"N = {count}")


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("code", [5, 28], ids=["EIO", "ENOSPC"])
def test_an_error_at_any_operation(
    suite: Suite, undisturbed: tuple[Path, int], tmp_path: Path, code: int, every: bool
) -> None:
    """Whichever operation fails, the run ends with exit code 5 and not as if all were well; then it resumes to the same bytes."""
    whole, count = undisturbed
    for number in numbers(count, every=every):
        out = tmp_path / str(number)

        def failing(number: int = number, out: Path = out) -> None:
            def fail() -> None:
                raise OSError(code, os.strerror(code))

            at_step(number, fail)
            run(suite, out)

        assert in_child(failing) == 5, number
        assert in_child(lambda out=out: run(suite, out)) == 0, number
        assert board(out) == board(whole), number
        shutil.rmtree(out)


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": truncated,
    "flipped": flipped,
    "emptied": lambda content: b"",
}


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("damage", [*DAMAGES, "deleted", "swapped"])
def test_damage_to_any_file(
    suite: Suite, undisturbed: tuple[Path, int], tmp_path: Path, damage: str, every: bool
) -> None:
    """Whatever file of the store is damaged, a run mends what it needs and writes the same leaderboard anew."""
    whole, _ = undisturbed
    files = sorted(path.relative_to(whole) for path in (whole / "store").rglob("*") if path.is_file())
    files = [path for path in files if not path.name.startswith(".")]
    for index, name in list(enumerate(files))[:: 1 if every else 4]:
        out = tmp_path / str(index)
        shutil.copytree(whole, out)
        (out / "victim" / "leaderboard.json").write_bytes(b"stale")
        path = out / name
        if damage == "deleted":
            path.unlink()
        elif damage == "swapped":
            alike = [other for other in files if other.suffix == name.suffix and other != name]
            path.write_bytes((out / alike[index % len(alike)]).read_bytes() if alike else b"")
        else:
            path.write_bytes(DAMAGES[damage](path.read_bytes()))
        # a cell that is gone makes the weights and the record of its training needed again
        gone = next(iter(sorted((out / "store" / "cells").rglob("*.json"))))
        gone.unlink(missing_ok=True)
        assert in_child(lambda out=out: run(suite, out)) == 0, name
        assert board(out) == board(whole), name
        shutil.rmtree(out)
    print(f"{len(files)} files")


def mounted(folder: Path, size: str, *, again: bool = False) -> bool:
    options = f"size={size}" + (",remount" if again else "")
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_full_file_system(suite: Suite, undisturbed: tuple[Path, int], tmp_path: Path) -> None:
    """On a real file system too small for the run it ends with exit code 5; given room it resumes to the same bytes."""
    whole, _ = undisturbed
    if not mounted(tmp_path, "24k"):
        pytest.skip("mounting a file system is not permitted here")
    try:
        out = tmp_path / "out"
        assert in_child(lambda: run(suite, out)) == 5
        assert mounted(tmp_path, "60k", again=True)
        in_child(lambda: run(suite, out))
        assert mounted(tmp_path, "8m", again=True)
        assert in_child(lambda: run(suite, out)) == 0
        assert board(out) == board(whole)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_limit_on_the_size_of_files(suite: Suite, tmp_path: Path, registry: Registry) -> None:
    """A file-size limit that no tensor fits under ends the run with exit code 5 and blames no cell."""
    import resource

    def limited() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1200, 1200))
        run(suite, tmp_path)

    assert in_child(limited) == 5
    assert not list((tmp_path / "store").rglob("cells/*/*.json"))
    assert disk.read(tmp_path / "victim" / "leaderboard.json") is None
    assert in_child(lambda: run(suite, tmp_path)) == 0
