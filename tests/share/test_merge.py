"""Merging studies and putting boards on a site: what is alike comes together, what is not is refused by name."""

from __future__ import annotations

import hashlib
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


# -- what a second look found ----------------------------------------------------------------------------------------------

REFERENCE = "table,dataset,backbone,method,noise,accuracy,noise_std,weight_std\nT,synthetic,MLP,SGD,clean,{},1,1\n"


def telling(folder: Path, number: float, sentence: str, *, table: bool) -> str:
    """A suite with a reference and a claim and, if asked for, a table that stands beside the reference."""
    folder.mkdir(parents=True)
    (folder / "printed.csv").write_text(REFERENCE.format(number))
    tables = "tables: [{title: T, reference: T, rows: [SGD], columns: [clean]}]\n" if table else ""
    claim = f"claims: {{c: {{name: better, text: {sentence}, pairs: [{{a: {{method: RWP}}, b: {{method: SGD}}}}]}}}}\n"
    return f"{TINY}{tables}{claim}reference: {{file: {folder / 'printed.csv'}}}\n"


def test_tables_claims_and_reference_are_those_of_one_study(nrbench: Command, tmp_path: Path) -> None:
    """Nothing of a second study's telling is mixed into the first's: no table beside another's printed numbers."""
    first = study(nrbench, tmp_path / "a", text=telling(tmp_path / "pa", 11.0, "first", table=False))
    second = study(nrbench, tmp_path / "b", text=telling(tmp_path / "pb", 93.0, "second", table=True))
    assert nrbench("merge", first, second, "-o", tmp_path / "ab").code == 0
    board = package.load(tmp_path / "ab" / "merged")
    assert {claim.text for claim in board.claims} == {"first"}
    assert board.tables == ()
    assert nrbench("merge", second, first, "-o", tmp_path / "ba").code == 0
    board = package.load(tmp_path / "ba" / "merged")
    assert {claim.text for claim in board.claims} == {"second"}
    (cell,) = board.tables[0].lines[0].cells
    assert cell is not None
    assert cell.reference is not None
    assert cell.reference.accuracy == 93.0


def test_a_directory_with_other_images_or_results_is_refused(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """What lies where a merged study is to go is looked at before anything is written."""
    assert nrbench("merge", ours, "-o", tmp_path / "there", "--name", "one").code == 0
    store = tmp_path / "there" / "store"
    cell = package.load(ours).rows[0].cells[0]
    path = store / "cells" / cell[:2] / f"{cell}.json"
    kept = path.read_bytes()
    rewrite(path, clean_correct=0)
    before = {p: p.read_bytes() for p in store.rglob("*") if p.is_file()}
    done = nrbench("merge", ours, "-o", tmp_path / "there", "--name", "two")
    assert done.code == 2
    assert f"another result of cell {cell}" in done.err
    path.write_bytes(kept)
    (data,) = store.glob("data/*.json")
    rewrite(data, sha256="0" * 64)
    done = nrbench("merge", ours, "-o", tmp_path / "there", "--name", "two")
    assert done.code == 2
    assert "the images of synthetic" in done.err
    assert {p for p in store.rglob("*") if p.is_file()} == before.keys()
    assert not (tmp_path / "there" / "two").exists()


def test_a_store_that_does_not_say_how_many_images_is_merged(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """A record of images from before their number was written is taken over as it is, and no result is set aside."""
    (data,) = ours.parent.glob("store/data/*.json")
    write_json(data, {"sha256": json.loads(data.read_bytes().partition(b"\n")[2])["sha256"]})
    assert nrbench("merge", ours, "-o", tmp_path / "merged").code == 0
    assert not list(tmp_path.rglob("*.damaged"))
    cell = package.load(ours).rows[0].cells[0]
    assert nrbench("submit", cell, "--results", ours.parent, "-o", tmp_path / "row.zip", "--weights").code == 0
    assert nrbench("verify", tmp_path / "row.zip").out.strip() == "2 cells: 2 same"


@pytest.mark.parametrize("order", ["run first", "bundle first", "one after the other"])
def test_no_weights_are_lost(ours: Path, nrbench: Command, tmp_path: Path, order: str) -> None:
    """A bundle without weights beside the run that has them costs none of them, in whatever order they come."""
    cell = package.load(ours).rows[0].cells[0]
    bundle = tmp_path / "row.zip"
    assert nrbench("submit", cell, "--results", ours.parent, "-o", bundle).code == 0
    sources = [[ours, bundle], [bundle, ours], [bundle], [ours, bundle]]
    if order == "one after the other":
        assert nrbench("merge", bundle, "-o", tmp_path / "merged", "--name", "early").code == 0
    chosen = sources[1] if order == "bundle first" else sources[0]
    assert nrbench("merge", *chosen, "-o", tmp_path / "merged").code == 0
    assert nrbench("verify", tmp_path / "merged" / "merged").out.strip() == "24 cells: 24 same"


@pytest.mark.parametrize("order", [0, 1])
def test_files_of_bundles_stay_beside_what_was_merged(nrbench: Command, tmp_path: Path, order: int) -> None:
    """Tables that came in a bundle are kept with the merged study, which can be verified and given away again."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "device.csv").write_text("magnitude,mean,std\n0,0,0.01\n1,0,0.1\n")
    text = TINY.partition("noise:")[0] + f"noise:\n  device: {{name: device_profile, table: {home / 'device.csv'}}}\n"
    mine = study(nrbench, tmp_path / "mine", text=text)
    cell = package.load(mine)["SGD"][0].cells[0]
    assert nrbench("submit", cell, "--results", mine.parent, "-o", tmp_path / "row.zip", "--weights").code == 0
    both = [mine, tmp_path / "row.zip"]
    assert nrbench("merge", *(both if order else both[::-1]), "-o", tmp_path / "merged").code == 0
    merged = tmp_path / "merged" / "merged"
    assert nrbench("verify", merged).out.strip() == "8 cells: 8 same"
    lock = json.loads((merged / "suite.lock.json").read_text())
    assert Path(lock["noise"]["device"]["table"]["path"]).exists()
    assert nrbench("site", merged, "-o", tmp_path / "public").code == 0


def test_equal_counts_of_two_machines_are_the_same_result(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """Two people who share a baseline merge: versions and norms are no part of what makes a result another one."""
    theirs = study(nrbench, tmp_path / "theirs")
    for path in theirs.parent.glob("store/cells/??/*.json"):
        document = json.loads(path.read_bytes().partition(b"\n")[2])
        for environment in document["environments"]:
            environment["torch"] = "9.9"
        rewrite(path, environments=document["environments"], weight_norm=document["weight_norm"] + 1e-6)
    assert nrbench("merge", ours, theirs, "-o", tmp_path / "merged").code == 0


def test_a_collection_of_unlike_recipes_is_merged(nrbench: Command, tmp_path: Path) -> None:
    """Suites of a collection that train nothing of the same labels may differ in their recipes, merged as well as included."""
    folder = tmp_path / "both"
    folder.mkdir()
    (folder / "one.yaml").write_text(TINY.replace("name: tiny", "name: one"))
    other = TINY.replace("name: tiny", "name: two").replace("MLP:", "Other:").replace("epochs: 3", "epochs: 2")
    (folder / "two.yaml").write_text(other)
    (folder / "all.yaml").write_text("name: all\ninclude: [one.yaml, two.yaml]\n")
    assert nrbench("run", folder / "all.yaml", "-o", folder / "out").code == 0
    assert nrbench("merge", folder / "out" / "all", "-o", tmp_path / "merged", "--name", "all").code == 0
    assert (tmp_path / "merged/all/leaderboard.json").read_bytes() == (folder / "out/all/leaderboard.json").read_bytes()


def test_a_failure_is_taken_over_where_nobody_has_a_result(ours: Path, nrbench: Command, tmp_path: Path) -> None:
    """A cell that failed with everybody says so on the merged board; one that somebody has a result of has that."""
    theirs = study(nrbench, tmp_path / "theirs")
    cell = package.load(ours).rows[0].cells[0]
    failed = {"status": "error", "message": "it broke", "traceback": "", "log": None}
    for folder in (ours, theirs):
        write_json(folder.parent / "store" / "cells" / cell[:2] / f"{cell}.json", failed)
        code = nrbench("merge", ours, theirs, "-o", tmp_path / folder.parent.parent.name).code
        assert code == (0 if folder == ours else 1)
    board = (tmp_path / "theirs" / "merged" / "failures.txt").read_text() if folder == theirs else ""
    assert "it broke" in board


# -- sites -------------------------------------------------------------------------------------------------------------


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


def test_rows_of_equal_components_have_bundles_of_their_own(nrbench: Command, tmp_path: Path) -> None:
    """Two labels of one method are two rows with two bundles, each with its own SHA-256 and labels."""
    mine = study(nrbench, tmp_path / "mine", "methods={Again: {name: sgd}}", "methods.RWP=null", "seeds=1")
    assert nrbench("site", mine, "-o", tmp_path / "public").code == 0
    rows = (tmp_path / "public" / "tiny" / "rows.html").read_text()
    bundles = re.findall(r'href="(bundles/[0-9a-f]{16}\.zip)".*?<code>([0-9a-f]{16})', rows)
    assert len(bundles) == len(set(bundles)) == 12
    for name, sha in bundles:
        assert hashlib.sha256((tmp_path / "public" / "tiny" / name).read_bytes()).hexdigest().startswith(sha)


def test_a_site_tells_no_paths(nrbench: Command, tmp_path: Path) -> None:
    """The reason of a failure, which may name files of a machine, is not published."""
    mine = study(nrbench, tmp_path / "mine")
    cell = package.load(mine).rows[0].cells[0]
    failed = {"status": "error", "message": "/home/me/secret is gone", "traceback": "/home/me/code.py", "log": None}
    write_json(mine.parent / "store" / "cells" / cell[:2] / f"{cell}.json", failed)
    assert nrbench("site", mine, "-o", tmp_path / "public").code == 0
    files = [path for path in (tmp_path / "public").rglob("*") if path.is_file()]
    assert files
    assert not any(b"/home/me" in path.read_bytes() for path in files)


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


def test_figures_of_one_study_show_the_methods_of_both(nrbench: Command, tmp_path: Path) -> None:
    """What one study draws is drawn of the merged one; a bundle of a row asks for no figure of methods that it has not."""
    figure = "figures: {Loss: {name: curve, y: {}}}\n"
    first = study(nrbench, tmp_path / "a", text=TINY.replace("  SGD: {name: sgd}\n", "") + figure)
    second = study(nrbench, tmp_path / "b", text=TINY.replace("  RWP: {name: rwp, sigma: 0.1}\n", ""))
    for name, order in (("ab", (first, second)), ("ba", (second, first))):
        assert nrbench("merge", *order, "-o", tmp_path / name).code == 0
        drawn = (tmp_path / name / "merged" / "figures" / "figure-loss.csv").read_text()
        assert {line.partition(",")[0] for line in drawn.splitlines()[1:]} == {"SGD", "RWP"}
    cell = package.load(first).rows[0].cells[0]
    assert nrbench("submit", cell, "--results", first.parent, "-o", tmp_path / "bundle").code == 0
    assert json.loads((tmp_path / "bundle" / "suite.lock.json").read_text())["figures"] == {}
