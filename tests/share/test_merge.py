"""Merging studies and putting boards on a site: what is alike comes together, what is not is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import nrbench as package
from nrbench import Registry
from nrbench.jobs.files import write_json
from nrbench.share import row_of, submit
from tests.conftest import TINY, Finished
from tests.payloads import PAYLOADS

Command = Callable[..., Finished]


def study(nrbench: Command, folder: Path, *settings: str, text: str = TINY) -> Path:
    """Run a suite with settings in a directory of its own and return the directory of the run."""
    folder.mkdir(parents=True)
    (folder / "suite.yaml").write_text(text)
    done = nrbench("run", folder / "suite.yaml", "-o", folder / "out", *(a for s in settings for a in ("--set", s)))
    assert done.code == 0, done.err
    return next(path.parent for path in (folder / "out").glob("*/suite.lock.json"))


@pytest.fixture
def ours(nrbench: Command, tmp_path: Path) -> Path:
    return study(nrbench, tmp_path / "ours")


def test_two_studies_are_as_one_that_was_run_at_once(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """A colleague's further method and noise beside ours: the same leaderboard, byte for byte, as of the suite with all of it."""
    sam = "methods.SAM={name: sam, rho: 0.1}"
    theirs = study(nrbench, tmp_path / "theirs", sam, "methods.SGD=null", "methods.RWP=null")
    done = nrbench("merge", ours, theirs, "-o", tmp_path / "merged", "--name", "tiny")
    assert done.code == 0, done.err
    whole = study(nrbench, tmp_path / "whole", sam)
    merged = tmp_path / "merged" / "tiny"
    assert (merged / "leaderboard.json").read_bytes() == (whole / "leaderboard.json").read_bytes()
    assert nrbench("verify", merged).out.strip() == "36 cells: 36 same"
    assert nrbench("report", merged).code == 0
    assert nrbench("merge", merged, ours, "-o", tmp_path / "again", "--name", "tiny").code == 0
    assert (tmp_path / "again/tiny/leaderboard.json").read_bytes() == (merged / "leaderboard.json").read_bytes()


def test_the_order_of_studies_changes_no_number(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """Whoever comes first, every row has the same accuracy and the same leaders."""
    theirs = study(nrbench, tmp_path / "theirs", "methods.SAM={name: sam, rho: 0.1}")
    boards = []
    for name, order in (("one", (ours, theirs)), ("other", (theirs, ours))):
        assert nrbench("merge", *order, "-o", tmp_path / name).code == 0
        board = package.load(tmp_path / name / "merged")
        boards.append({(row.column, row.method): (row.accuracy, row.leading, row.by_seed) for row in board.rows})
    assert boards[0] == boards[1]


def test_a_row_of_somebody_else_joins_a_board(ours: Path, nrbench: Command, tmp_path: Path, registry: Registry) -> None:
    """A bundle's row stands beside ours with its numbers; what it was not judged under is missing, and said to be."""
    sam = ("methods.SAM={name: sam, rho: 0.1}", "methods.SGD=null", "methods.RWP=null")
    theirs = study(nrbench, tmp_path / "theirs", *sam)
    cell = next(row for row in package.load(theirs).rows if row.noise == "Gaussian 0.1").cells[0]
    with row_of(cell, theirs.parent, registry) as row:
        submit(row, tmp_path / "row.zip", registry, licence="CC0-1.0", weights=False)
    done = nrbench("merge", ours, tmp_path / "row.zip", "-o", tmp_path / "merged")
    assert done.code == 1  # rows without a result
    board = package.load(tmp_path / "merged" / "merged")
    rows = board["SAM"]
    assert {row.noise: row.status for row in rows if row.selection == "chosen"} == {
        "clean": "incomplete",
        "Gaussian 0.1": "ok",
        "Gaussian 0.3": "incomplete",
    }
    (there,) = (row for row in package.load(theirs).rows if row.cells[0] == cell)
    (here,) = (row for row in rows if row.status == "ok")
    assert (here.accuracy, here.by_seed) == (there.accuracy, there.by_seed)


UNLIKE = {
    "epochs": (["recipe.epochs=2"], "differ in recipe.epochs"),
    "two things at once": (["recipe.batch_size=16", "recipe.optimizer.lr=0.1"], "recipe.batch_size, recipe.optimizer"),
    "seeds": (["seeds=3"], "differ in seeds: 3 and 2"),
    "draws": (["draws=4"], "differ in draws: 4 and 3"),
    "a method": (["methods.RWP.sigma=0.2"], "differ in what 'RWP' of methods is"),
    "a noise model": (["noise={clean: {name: gaussian, sigma: 0.1}}"], "differ in what 'clean' of noise is"),
    "a data set": (["datasets.synthetic.train_size=96"], "differ in what 'synthetic' of datasets is"),
    "a backbone": (["backbones.MLP.hidden=[8]"], "differ in what 'MLP' of backbones is"),
    "a selection": (["selections.chosen.draws=2"], "differ in what 'chosen' of selections is"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_unlike_studies_are_refused_by_name(ours: Path, nrbench: Command, tmp_path: Path, case: str) -> None:
    """Another protocol, or a label that means something else, is named with both studies, and nothing is written."""
    settings, reason = UNLIKE[case]
    theirs = study(nrbench, tmp_path / "theirs", *settings)
    done = nrbench("merge", ours, theirs, "-o", tmp_path / "merged")
    assert done.code == 2, done.err
    assert reason in done.err
    assert "theirs" in done.err
    assert not (tmp_path / "merged").exists()


def rewrite(path: Path, **changes: object) -> None:
    document = json.loads(path.read_bytes().partition(b"\n")[2])
    write_json(path, document | changes)


def test_different_results_of_one_cell_are_refused(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """Two studies with other counts under one key are named, and neither is taken."""
    theirs = study(nrbench, tmp_path / "theirs")
    cell = package.load(theirs).rows[0].cells[0]
    path = theirs.parent / "store" / "cells" / cell[:2] / f"{cell}.json"
    rewrite(path, clean_correct=0)
    done = nrbench("merge", ours, theirs, "-o", tmp_path / "merged")
    assert done.code == 2
    assert "have different results of it" in done.err
    assert not (tmp_path / "merged").exists()


def test_other_images_are_refused(ours: Path, nrbench: Command, tmp_path: Path, registry: Registry) -> None:
    """Two studies whose images differ under one key of a data set are named."""
    theirs = study(nrbench, tmp_path / "theirs")
    dataset = package.load_suite(ours.parent.parent / "suite.yaml", registry).section("datasets")["synthetic"]
    write_json(theirs.parent / "store" / "data" / f"{dataset.fingerprint}.json", {"sha256": "0" * 64, "images": "64"})
    done = nrbench("merge", ours, theirs, "-o", tmp_path / "merged")
    assert done.code == 2
    assert "the images of synthetic" in done.err
    assert not (tmp_path / "merged").exists()


def test_results_of_other_versions_are_refused(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """A run whose cells have other keys than the installed versions give is named with the row that shows it."""
    path = ours / "leaderboard.json"
    document = json.loads(path.read_text())
    for row in document["rows"]:
        row["cells"] = ["0" * 32 for _ in row["cells"]]
    path.write_text(json.dumps(document))
    done = nrbench("merge", ours, "-o", tmp_path / "merged")
    assert done.code == 2
    assert "was computed by other versions than the installed ones" in done.err
    document["schema"] = 2
    path.write_text(json.dumps(document))
    assert nrbench("merge", ours, "-o", tmp_path / "merged").code == 3
    assert not (tmp_path / "merged").exists()


def test_growing_studies_are_not_merged(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """The intervals of a study that grew are those of its own looks."""
    theirs = study(nrbench, tmp_path / "theirs", "seeds={from: 3, to: 4, until: resolved}")
    done = nrbench("merge", theirs, ours, "-o", tmp_path / "merged")
    assert done.code == 2
    assert "grow: its intervals account for its own looks" in done.err


@pytest.mark.parametrize("what", ["a file", "a directory of something else", "a name that is none", "nothing"])
def test_what_is_no_study(nrbench: Command, tmp_path: Path, ours: Path, what: str) -> None:
    """Neither the directory of a run nor a bundle: named; a name that no directory can have, too."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    arguments = {
        "a file": [tmp_path / "file"],
        "a directory of something else": [tmp_path / "folder"],
        "a name that is none": [ours, "--name", "../evil"],
        "nothing": [tmp_path / "nothing"],
    }[what]
    before = sorted(tmp_path.rglob("*"))
    done = nrbench("merge", *arguments, "-o", tmp_path / "merged")
    assert done.code in (2, 5), done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_that_cannot_be_written(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """A file where a directory has to be is an error of storage, for every verb that writes."""
    (tmp_path / "file").write_text("x")
    cell = package.load(ours).rows[0].cells[0]
    for arguments in (
        ["merge", ours, "-o", tmp_path / "file" / "merged"],
        ["site", ours, "-o", tmp_path / "file" / "public"],
        ["submit", cell, "--results", ours.parent, "-o", tmp_path / "file" / "bundle"],
    ):
        done = nrbench(*arguments)
        assert done.code == 5, (arguments, done.err)
    assert (tmp_path / "file").read_text() == "x"


# -- sites --------------------------------------------------------------------------------------------------------------


def test_a_site(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """An index with every board, the newest first, and beside each row a bundle that can be verified; twice the same bytes."""
    theirs = study(nrbench, tmp_path / "theirs", "name=later", "seeds=1")
    log = theirs / "run.log"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(line | {"time": line["time"] + 86_400 * 3}) + "\n" for line in lines))
    for target in ("public", "again"):
        done = nrbench("site", ours, theirs, "-o", tmp_path / target, "--weights")
        assert done.code == 0, done.err
    files = {
        p.relative_to(tmp_path / "public"): p.read_bytes() for p in (tmp_path / "public").rglob("*") if p.is_file()
    }
    assert files == {
        p.relative_to(tmp_path / "again"): p.read_bytes() for p in (tmp_path / "again").rglob("*") if p.is_file()
    }
    index = (tmp_path / "public" / "index.html").read_text()
    assert index.index('href="later/leaderboard.html"') < index.index('href="tiny/leaderboard.html"')
    rows = (tmp_path / "public" / "tiny" / "rows.html").read_text()
    bundles = re.findall(r'href="(bundles/[0-9a-f]{16}\.zip)"', rows)
    assert len(bundles) == 12
    assert nrbench("verify", tmp_path / "public" / "tiny" / bundles[0]).out.strip() == "2 cells: 2 same"
    links = [link for page in (index, rows) for link in re.findall(r'(?:href|src)="([^"]+)"', page)]
    assert not any("://" in link or link.startswith("/") for link in links)
    for folder, page in ((tmp_path / "public", index), (tmp_path / "public" / "tiny", rows)):
        for link in re.findall(r'(?:href|src)="([^"#]+)"', page):
            assert (folder / link).exists(), link
    assert nrbench("site", ours, ours, "-o", tmp_path / "twice").code == 2


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_labels_on_a_site(nrbench: Command, tmp_path: Path, payload: str) -> None:
    """A label is text on every page of a site: no new element, attribute or control sequence."""
    pages = {}
    for name, label in (("harmless", "harmless"), ("hostile", payload)):
        folder = tmp_path / name
        theirs = study(nrbench, folder, text=TINY.replace("seeds: 2", "seeds: 1").replace("epochs: 3", "epochs: 1"))
        lock = json.loads((theirs / "suite.lock.json").read_text())
        lock["description"] = label
        for section in ("methods", "noise", "backbones", "datasets", "selections"):
            lock[section] = {(label if i == 0 else k): v for i, (k, v) in enumerate(lock[section].items())}
        (theirs / "suite.lock.json").write_text(json.dumps(lock))
        done = nrbench("site", theirs, "-o", folder / "public")
        assert done.code == 0, done.err
        assert "\x1b" not in done.out + done.err
        pages[name] = [(folder / "public" / page).read_text() for page in ("index.html", "tiny/rows.html")]
    for harmless, hostile in zip(pages["harmless"], pages["hostile"], strict=True):
        assert re.findall(r"<[a-zA-Z/][^>]*", _tags(harmless)) == re.findall(r"<[a-zA-Z/][^>]*", _tags(hostile))
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", hostile)


def _tags(page: str) -> str:
    """Return a page without the values of attributes."""
    return re.sub(r'="[^"]*"', "", page)
