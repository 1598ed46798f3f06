"""Bundles: what is in one comes back as it was, and what is not as its manifest says is refused by name, nothing written."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nrbench as package
from nrbench import Options, Registry, Suite, load_registry
from nrbench.base.component import canonical_json
from nrbench.families.dataset import load_splits
from nrbench.jobs.files import write_json
from nrbench.share import opened, row_of, submit
from nrbench.suite.locked import locked_suite
from tests.conftest import TINY, Finished

Command = Callable[..., Finished]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    """A directory with the results of a run, one row of it as a directory, and the same as a .zip."""
    folder = tmp_path_factory.mktemp("bundles")
    (folder / "tiny.yaml").write_text(TINY)
    suite = package.load_suite(folder / "tiny.yaml", registry)
    board = package.run(suite, options=Options(out=folder / "results"))
    with row_of(key(board), folder / "results", registry) as row:
        for name, weights in (("bundle", True), ("bundle.zip", True), ("bare.zip", False)):
            submit(row, folder / name, registry, licence="CC0-1.0", weights=weights)
    return folder


def key(board: package.Leaderboard) -> str:
    (row,) = board["RWP", "Gaussian 0.3", "chosen"]
    return row.cells[0]


@pytest.fixture
def copy(bundles: Path, tmp_path: Path) -> Path:
    shutil.copytree(bundles / "bundle", tmp_path / "copy")
    return tmp_path / "copy"


def reseal(folder: Path, change: Callable[[dict[str, Any]], object] = lambda body: None) -> None:
    """Make a manifest say what is in a directory, as somebody would who wants it believed, with a change to it."""
    body = json.loads((folder / "bundle.json").read_text())["bundle"]
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "bundle.json"]
    body["files"] = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256(path.read_bytes()).hexdigest(),
        }
        for path in paths
    }
    change(body)
    seal = sha256(canonical_json(body).encode()).hexdigest()
    (folder / "bundle.json").write_text(json.dumps({"sha256": seal, "bundle": body}))


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# -- what a bundle is -----------------------------------------------------------------------------------------------------


def test_a_row_comes_back_as_it_was(bundles: Path, registry: Registry) -> None:
    """The one row of a bundle has the numbers that it has on the board it comes from, but for what is to other rows."""
    (there,) = package.load(bundles / "results" / "tiny")["RWP", "Gaussian 0.3", "chosen"]
    for name in ("bundle", "bundle.zip", "bare.zip"):
        with opened(bundles / name, registry) as study:
            (here,) = study.board.rows
        assert here.replace(leading=there.leading, difference=there.difference) == there


def test_the_same_row_is_the_same_bytes(bundles: Path, registry: Registry, tmp_path: Path) -> None:
    """A bundle holds no time, host or path: made again it is the same file, and as a directory it has the same contents."""
    board = package.load(bundles / "results" / "tiny")
    with row_of(key(board), bundles / "results", registry) as row:
        submit(row, tmp_path / "again.zip", registry, licence="CC0-1.0", weights=True)
    assert (tmp_path / "again.zip").read_bytes() == (bundles / "bundle.zip").read_bytes()
    with zipfile.ZipFile(bundles / "bundle.zip") as archive:
        zipped = {name: archive.read(name) for name in archive.namelist()}
    assert {
        p.relative_to(bundles / "bundle").as_posix(): c for p, c in everything(bundles / "bundle").items()
    } == zipped
    assert not any(
        str(bundles).encode() in content or os.uname().nodename.encode() in content for content in zipped.values()
    )


def test_a_bundle_says_what_made_it(bundles: Path) -> None:
    """Its manifest has the row's labels, the licence, the versions of every component and of their distributions."""
    body = json.loads((bundles / "bundle" / "bundle.json").read_text())["bundle"]
    assert body["row"] == {
        "suite": "tiny",
        "dataset": "synthetic",
        "backbone": "MLP",
        "selection": "chosen",
        "batch_norm": "frozen",
        "noise": "Gaussian 0.3",
        "method": "RWP",
    }
    assert (body["seeds"], body["licence"], body["distributions"]) == (2, "CC0-1.0", {"nrbench": "0.1.0"})
    assert body["components"]["methods/rwp"] == 2
    assert body["components"]["selections/best_epoch"] == 1


def test_verifying_a_bundle(bundles: Path, nrbench: Command, tmp_path: Path) -> None:
    """With weights the counts are the same integers; without them there is nothing to judge, but it can be trained again."""
    for name in ("bundle", "bundle.zip"):
        done = nrbench("verify", bundles / name)
        assert (done.code, done.out.strip()) == (0, "2 cells: 2 same")
    done = nrbench("verify", bundles / "bare.zip")
    assert done.code == 3
    assert "2 lost" in done.out
    done = nrbench("verify", bundles / "bare.zip", "--retrain", "-j", "1")
    assert (done.code, done.out.strip()) == (0, "2 cells: 2 same")


def test_a_row_is_found_by_the_key_of_a_cell(bundles: Path, nrbench: Command, tmp_path: Path) -> None:
    """`submit` and `verify` take a cell's key or its beginning; no row, or more than one, is an error."""
    start = key(package.load(bundles / "results" / "tiny"))[:12]
    done = nrbench("verify", start, "--results", bundles / "results")
    assert (done.code, done.out.strip()) == (0, "2 cells: 2 same")
    done = nrbench("submit", start, "--results", bundles / "results", "-o", tmp_path / "mine.zip")
    assert done.code == 0
    assert "RWP under Gaussian 0.3 on MLP, licence CC-BY-4.0" in done.out
    assert nrbench("verify", f"tiny/{start}", "--results", bundles / "results").code == 0
    for wrong, said in (("zz", "no rows"), ("", "no rows"), (f"other/{start}", "no rows")):
        done = nrbench("submit", wrong, "--results", bundles / "results", "-o", tmp_path / "other.zip")
        assert (done.code, said in done.err) == (2, True), done.err
    done = nrbench("submit", start, "--results", bundles / "results", "-o", tmp_path / "mine.zip")
    assert (done.code, "is there already" in done.err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".zip") == ["mine.zip"]


def test_a_row_that_is_not_whole_is_no_submission(write_suite: Write, nrbench: Command, tmp_path: Path) -> None:
    """A cell without a result is named, and no bundle is written."""
    out = tmp_path / "out"
    assert nrbench("run", write_suite(), "-o", out).code == 0
    board = package.load(out / "tiny")
    cell = board.rows[0].cells[1]
    (out / "store" / "cells" / cell[:2] / f"{cell}.json").unlink()
    done = nrbench("submit", board.rows[0].cells[0], "--results", out, "-o", tmp_path / "bundle")
    assert done.code == 2
    assert "seed 1, has no result" in done.err
    assert not (tmp_path / "bundle").exists()


def test_tables_come_along_and_paths_do_not(
    nrbench: Command, tmp_path: Path, write_suite: Write, registry: Registry
) -> None:
    """A device's table is in the bundle and read from there, wherever it is; where it lay on the disk is not told."""
    home = tmp_path / "somebody"
    home.mkdir()
    (home / "device.csv").write_text("magnitude,mean,std\n0,0,0.01\n1,0,0.1\n")
    profile = "noise:\n  device: {name: device_profile, table: device.csv}\n"
    (home / "suite.yaml").write_text(TINY.partition("noise:")[0] + profile)
    done = nrbench("run", home / "suite.yaml", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    cell = package.load(tmp_path / "out" / "tiny").rows[0].cells[0]
    assert nrbench("submit", cell, "--results", tmp_path / "out", "-o", tmp_path / "b.zip", "--weights").code == 0
    assert b"somebody" not in (tmp_path / "b.zip").read_bytes()
    shutil.rmtree(home)
    assert nrbench("verify", tmp_path / "b.zip").out.strip() == "2 cells: 2 same"


# -- what is not as its manifest says -----------------------------------------------------------------------------------------

CELL = "store/cells/*/*.json"


def changed(pattern: str, content: bytes | None) -> Callable[[Path], object]:
    """Return what replaces the first file of a bundle that matches, or removes it."""

    def change(folder: Path) -> None:
        path = sorted(folder.glob(pattern))[0]
        path.unlink()
        if content is not None:
            path.write_bytes(content)

    return change


def linked(folder: Path) -> None:
    path = sorted(folder.glob(CELL))[0]
    shutil.copy(path, folder.parent / "elsewhere.json")
    path.unlink()
    path.symlink_to(folder.parent / "elsewhere.json")


def linked_folder(folder: Path) -> None:
    shutil.move(folder / "store", folder.parent / "elsewhere")
    (folder / "store").symlink_to(folder.parent / "elsewhere")


def piped(folder: Path) -> None:
    path = sorted(folder.glob(CELL))[0]
    path.unlink()
    os.mkfifo(path)


def named(name: str) -> Callable[[Path], object]:
    """Return what gives a bundle's manifest a file of a name that leads elsewhere."""
    file = {"bytes": 4, "sha256": sha256(b"evil").hexdigest()}
    return lambda folder: reseal(folder, lambda body: body["files"].update({name: file}))


def said(field: str, value: object) -> Callable[[Path], object]:
    return lambda folder: reseal(folder, lambda body: body.update({field: value}))


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a cell that was changed": (changed(CELL, b"{}"), "is not what bundle.json says"),
    "a cell that grew": (changed(CELL, b" " * 10_000), "more than"),
    "a cell that is gone": (changed(CELL, None), "is there 0 times"),
    "weights that were changed": (changed("store/trainings/*/epochs/*", b"0"), "is not what bundle.json says"),
    "a file too many": (lambda folder: (folder / "store" / "more.json").write_text("{}"), "is not in its bundle.json"),
    "a script": (lambda folder: (folder / "setup.py").write_text("raise SystemExit(7)"), "setup.py is not in its"),
    "a link to a file": (linked, "elsewhere|symbolic|link"),
    "a link to a directory": (linked_folder, "is not in its bundle.json"),
    "a pipe": (piped, "no regular file"),
    "no manifest that is JSON": (changed("bundle.json", b"\x00" * 100), "bundle.json is damaged"),
    "an empty manifest": (changed("bundle.json", b""), "bundle.json is damaged"),
    "nothing but brackets": (changed("bundle.json", b"[" * 100_000), "bundle.json is damaged"),
    "a manifest of something else": (changed("bundle.json", b'{"sha256": 1}'), "no manifest of a bundle"),
    "another format": (said("format", 2), "a bundle of format 2"),
    "a format of an older schema": (said("format", 0), "a bundle of format 0"),
    "a format that is no number": (said("format", {"a": "\x1b[31m"}), "a bundle of format"),
    "no seeds": (said("seeds", 0), "seeds"),
    "a field too many": (said("code", "import os"), "code"),
    "the parent": (named("../evil.json"), "String should match pattern"),
    "the root": (named("/etc/cron.d/evil"), "String should match pattern"),
    "a way round": (named("store/cells/../../../evil.json"), "String should match pattern"),
    "a line's end": (named("suite.lock.json\n"), "String should match pattern"),
    "a NUL": (named("files/\x00"), "String should match pattern"),
    "a Windows path": (named("store\\cells\\evil.json"), "String should match pattern"),
    "a manifest that is not its own": (
        lambda folder: (folder / "bundle.json").write_text(
            (folder / "bundle.json").read_text().replace("CC0-1.0", "proprietary")
        ),
        "is not what its own SHA-256 says",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("verb", ["verify", "merge", "compare"])
def test_a_damaged_bundle_is_refused_by_name(
    copy: Path, nrbench: Command, tmp_path: Path, bundles: Path, verb: str, case: str
) -> None:
    """Whatever is not as the manifest says is an error with the file's name, and nothing is written anywhere."""
    change, reason = DAMAGED[case]
    change(copy)
    before = everything(tmp_path) if case != "a pipe" else {}
    more = {
        "verify": [],
        "merge": [bundles / "results" / "tiny", "-o", tmp_path / "merged"],
        "compare": [bundles / "bundle"],
    }
    done = nrbench(verb, copy, *more[verb])
    assert done.code == 5, (done.out, done.err)
    assert "copy" in done.err
    if case not in ("a link to a file",):
        assert reason in done.err
    assert "\x1b" not in done.err
    if case != "a pipe":
        assert everything(tmp_path) == before


def zipped(folder: Path, target: Path, *, kind: int = zipfile.ZIP_STORED, twice: bool = False, extra: str = "") -> None:
    with zipfile.ZipFile(target, "w", kind) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
        if twice:
            archive.writestr(zipfile.ZipInfo("suite.lock.json"), b"{}")
        if extra:
            archive.writestr(zipfile.ZipInfo(extra), b"evil")


def swollen(target: Path) -> None:
    """Write an archive whose manifest would be 16 GiB of zeros."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", b"0" * 2**24)


def overlapping(folder: Path, target: Path) -> None:
    """Write an archive whose directory has two names for the bytes of each file."""
    zipped(folder, target)
    with zipfile.ZipFile(target) as archive:
        entries = archive.infolist()
    content = target.read_bytes()
    start = content.index(b"PK\x01\x02")
    central, end = content[start:-22], bytearray(content[-22:])
    again = central.replace(b"store/", b"stort/")
    end[8:12] = (2 * len(entries)).to_bytes(2, "little") * 2
    end[12:16] = (len(central) + len(again)).to_bytes(4, "little")
    target.write_bytes(content[:start] + central + again + bytes(end))


ARCHIVES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "zeros": (lambda folder, target: target.write_bytes(b"\x00" * 2**20), "no archive that can be read"),
    "nothing": (lambda folder, target: target.write_bytes(b""), "no archive that can be read"),
    "half of one": (
        lambda folder, target: (zipped(folder, target), target.write_bytes(target.read_bytes()[:-500])),
        "no archive that can be read",
    ),
    "compressed": (lambda folder, target: zipped(folder, target, kind=zipfile.ZIP_DEFLATED), "more is in it than it is large"),
    "a bomb": (lambda folder, target: swollen(target), "more is in it than it is large"),
    "one file under many names": (lambda folder, target: overlapping(folder, target), "more is in it than it is large"),
    "a name twice": (lambda folder, target: zipped(folder, target, twice=True), "2 times"),
    "the parent": (lambda folder, target: zipped(folder, target, extra="../evil"), "../evil is not in its bundle.json"),
    "the root": (lambda folder, target: zipped(folder, target, extra="/tmp/evil"), "/tmp/evil is not in its"),
    "no manifest": (
        lambda folder, target: ((folder / "bundle.json").unlink(), zipped(folder, target)),
        "bundle.json is missing",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", ARCHIVES)
def test_a_hostile_archive_is_refused_by_name(copy: Path, nrbench: Command, tmp_path: Path, case: str) -> None:
    """No archive makes a file outside of the copy, swells, or is half read."""
    make, reason = ARCHIVES[case]
    make(copy, tmp_path / "evil.zip")
    before = everything(tmp_path)
    done = nrbench("verify", tmp_path / "evil.zip")
    assert done.code == 5, (done.out, done.err)
    assert reason in done.err
    assert everything(tmp_path) == before


def test_a_suite_that_names_other_files_gets_none(copy: Path, nrbench: Command, tmp_path: Path) -> None:
    """Whatever path a locked suite writes down, the files that it reads are those of the bundle."""
    secret = tmp_path / "secret.csv"
    secret.write_text("magnitude,mean,std\n0,0,0.5\n")
    lock = json.loads((copy / "suite.lock.json").read_text())
    file = {"path": str(secret), "sha256": sha256(secret.read_bytes()).hexdigest()}
    lock["noise"] = {"Gaussian 0.3": {"name": "device_profile", "table": file}}
    (copy / "suite.lock.json").write_text(json.dumps(lock))
    reseal(copy)
    done = nrbench("verify", copy)
    assert done.code != 0
    assert "same" not in done.out


@pytest.mark.parametrize("part", ["methods", "noise"])
def test_a_component_that_is_not_installed_is_named(copy: Path, nrbench: Command, part: str) -> None:
    """A bundle of a plugin that is not here says which, and the distribution that it came with."""
    lock = json.loads((copy / "suite.lock.json").read_text())
    (label,) = lock[part]
    lock[part][label] = {"name": "theirs"}
    (copy / "suite.lock.json").write_text(json.dumps(lock))
    reseal(copy, lambda body: body.update(components={f"{part}/theirs": 3}, distributions={"their-plugin": "1.2"}))
    done = nrbench("verify", copy)
    assert done.code == 2
    assert f"{part}/theirs, which is not installed here: it came with their-plugin 1.2" in done.err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": 0}, "version 0 of the protocol, which is 2 here"),
        ({"stream": 99}, "version 99 of the random stream"),
        ({"components": {"methods/rwp": 1}}, "version 1 of methods/rwp, which is 2 here"),
    ],
)
def test_numbers_of_other_versions_are_refused(
    copy: Path, nrbench: Command, bundles: Path, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    """What was made with another version of the protocol or of a component is named, not mixed with what is computed here."""
    reseal(copy, lambda body: body.update(change))
    for arguments in (["verify", copy], ["merge", bundles / "results" / "tiny", copy, "-o", tmp_path / "merged"]):
        done = nrbench(*arguments)
        assert done.code == 2
        assert reason in done.err
    assert not (tmp_path / "merged").exists()


def test_a_lock_with_more_than_the_row_is_refused(copy: Path, tiny: Suite, nrbench: Command) -> None:
    """A bundle is of one row; a whole suite in its place is no bundle."""
    (copy / "suite.lock.json").write_bytes(tiny.lock())
    reseal(copy)
    done = nrbench("verify", copy)
    assert done.code == 5
    assert "not that of one row" in done.err


# -- what is as its manifest says, and yet is not to be believed -----------------------------------------------------------


def forged(folder: Path, pattern: str, **changes: Any) -> None:
    """Change documents of a bundle's store, and make everything that seals them fit again."""
    for path in sorted(folder.glob(pattern)):
        write_json(path, json.loads(path.read_bytes().partition(b"\n")[2]) | changes)
    reseal(folder)


def test_counts_over_fewer_images_are_different(copy: Path, nrbench: Command) -> None:
    """The number of images is as much of an accuracy as the right answers: fewer of them are named, judged or trained again."""
    for path in copy.glob("store/data/*.json"):
        path.unlink()
    forged(copy, CELL, images=60)
    for more in ([], ["--retrain", "-j", "1"]):
        done = nrbench("verify", copy, *more)
        assert done.code == 4
        assert "images: 64, 60 stored" in done.out


def test_a_validation_score_that_was_not_reached_is_different(copy: Path, nrbench: Command) -> None:
    """What the best of a group is chosen by is measured again, on the stored weights and on new ones."""
    forged(copy, CELL, chosen_with={"correct": 12, "images": 12})
    for more in ([], ["--retrain", "-j", "1"]):
        done = nrbench("verify", copy, *more)
        assert done.code == 4
        assert "that the epoch was chosen on" in done.out
        assert "12 of 12 stored" in done.out


def test_a_suite_that_writes_paths_reads_none(copy: Path, nrbench: Command, tmp_path: Path) -> None:
    """A path in the place of a file's SHA-256 opens nothing on the disk of who looks at a bundle."""
    secret = tmp_path / "secret"
    secret.write_text("mine\n")
    lock = json.loads((copy / "suite.lock.json").read_text())
    lock["noise"] = {"Gaussian 0.3": {"name": "device_profile", "table": str(secret)}}
    (copy / "suite.lock.json").write_text(json.dumps(lock))
    reseal(copy)
    done = nrbench("verify", copy)
    assert done.code == 2
    assert "by its SHA-256" in done.err
    assert "mine" not in done.err


def test_weights_of_another_network_fail_by_name(copy: Path, nrbench: Command) -> None:
    """Weights that do not fit the suite's network fail its cells with the reason, and no network of that size is made."""
    lock = json.loads((copy / "suite.lock.json").read_text())
    (label,) = lock["backbones"]
    for hidden in ([8], [1_000_000, 1_000_000]):
        lock["backbones"][label] = {"name": "mlp", "hidden": hidden}
        (copy / "suite.lock.json").write_text(json.dumps(lock))
        suite = locked_suite(copy / "suite.lock.json", load_registry())
        old = sorted(copy.glob("store/cells/*/*.json"))
        for cell, path in zip(suite.cells(), old, strict=True):
            document = json.loads(path.read_bytes().partition(b"\n")[2])
            path.unlink()
            folder = copy / "store" / "trainings" / document["training"]
            target = folder.rename(folder.with_name(cell.training.key))
            for name in ("record.json", "spec.json"):
                write_json(target / name, json.loads((target / name).read_bytes().partition(b"\n")[2]))
            new = document | {"training": cell.training.key}
            write_json(copy / "store" / "cells" / cell.key[:2] / f"{cell.key}.json", new)
        reseal(copy)
        done = nrbench("verify", copy)
        assert done.code == 4, done.err
        assert "weights of another network" in done.out


def test_seeds_beyond_those_of_the_suite_are_refused(copy: Path, nrbench: Command) -> None:
    """A growing row of a number of seeds that it cannot have is refused, whichever way it is wrong."""
    lock = json.loads((copy / "suite.lock.json").read_text())
    lock["seeds"] = {"from": 3, "to": 6, "until": "resolved"}
    (copy / "suite.lock.json").write_text(json.dumps(lock))
    for seeds in (1, 2, 7, 1_000_000):
        reseal(copy, lambda body, seeds=seeds: body.update(seeds=seeds))  # type: ignore[misc]
        done = nrbench("compare", copy, copy)
        assert done.code == 5
        assert f"it has {seeds} seeds, of 3 to 6" in done.err


def test_what_goes_wrong_beside_the_archive_is_not_blamed_on_it(
    bundles: Path, nrbench: Command, tmp_path: Path
) -> None:
    """Only errors of reading an archive are said to be such."""
    done = nrbench("merge", bundles / "bundle.zip", "-o", tmp_path / "merged", "--name", "store")
    assert done.code == 2
    assert "'store' is no name for a study" in done.err
    assert "archive" not in done.err


def test_images_are_found_where_data_is(nrbench: Command, tmp_path: Path) -> None:
    """Images of one's own do not come along; with their file in the directory of data a row is verified, else it is missing."""
    drawn = np.random.default_rng(0)
    arrays = {
        f"{part}_{what}": drawn.integers(
            0, 256 if what == "images" else 3, (n, 8, 8) if what == "images" else n
        ).astype(kind)
        for part, n in (("train", 60), ("test", 30))
        for what, kind in (("images", np.uint8), ("labels", np.int64))
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    data = "datasets: {mine: {name: npz, file: mine.npz}}"
    (tmp_path / "suite.yaml").write_text(re.sub("datasets: .*", data, TINY))
    assert nrbench("run", tmp_path / "suite.yaml", "-o", tmp_path / "out").code == 0
    cell = package.load(tmp_path / "out" / "tiny").rows[0].cells[0]
    assert nrbench("submit", cell, "--results", tmp_path / "out", "-o", tmp_path / "b.zip", "--weights").code == 0
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mine.npz").rename(tmp_path / "elsewhere" / "mine.npz")
    for more in ([], ["--retrain", "-j", "1"]):
        load_splits.cache_clear()
        assert nrbench("verify", tmp_path / "b.zip", *more).code == 3
        done = nrbench("verify", tmp_path / "b.zip", "--data-dir", tmp_path / "elsewhere", *more)
        assert (done.code, done.out.strip()) == (0, "2 cells: 2 same")
