"""Sites: several boards under a static index, the newest first, each row's bundle beside it; for any host of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nrbench.base import disk
from nrbench.base.component import digest
from nrbench.base.errors import UsageError, printable
from nrbench.base.log import RunLog
from nrbench.families.registry import Registry
from nrbench.families.row import Row
from nrbench.families.sheet import shown
from nrbench.jobs.plan import LOCK, LOG
from nrbench.report.page import Page
from nrbench.report.write import write_reports
from nrbench.share.study import Study, StudyRow
from nrbench.share.submit import submit


class Offered(NamedTuple):
    """A row on a site, and its bundle."""

    row: Row
    bundle: str
    """The name of the file; empty for a row that is not whole."""
    sha256: str


class Shown(NamedTuple):
    """A board on a site."""

    folder: str
    day: str
    page: Page
    rows: tuple[Offered, ...]


def write_site(
    studies: Sequence[Study], target: Path, registry: Registry, *, licence: str, weights: bool
) -> tuple[Shown, ...]:
    """Write a site and return its boards, in order. Pages are made from the results, so that no label in them is markup.

    Raise `UsageError` for two studies of one name, which is that of their directory on the site.
    """
    names = [study.benchmark.name for study in studies]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of the studies are named {name}, which is the directory of one board: merge them")
    boards = [_board(study, target, registry, licence=licence, weights=weights) for study in studies]
    boards.sort(key=lambda board: (board.day, board.folder), reverse=True)
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("nrbench.share"), PackageLoader("nrbench.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    for board in boards:
        page = environment.get_template("rows.html").render(board=board, shown=shown)
        disk.write(target / board.folder / "rows.html", page.encode())
    disk.write(target / "index.html", environment.get_template("index.html").render(boards=boards).encode())
    return tuple(boards)


def _board(study: Study, target: Path, registry: Registry, *, licence: str, weights: bool) -> Shown:
    name = study.benchmark.name
    folder = target / name
    disk.check_no_links(target, folder, folder / "figures", folder / "bundles")
    rows = (row.replace(reason=None) for row in study.board.rows)  # it may name paths of a machine
    board = study.board.model_copy(update={"rows": tuple(rows)})
    page = write_reports(board, study.benchmark, study.store, folder)
    offered = tuple(_offered(study, page, folder, registry, licence=licence, weights=weights))
    return Shown(name, _day(study), page, offered)


def _offered(
    study: Study, page: Page, folder: Path, registry: Registry, *, licence: str, weights: bool
) -> Iterator[Offered]:
    """Yield every row of a study's board with its bundle, written anew."""
    places = {position: part for part in study.benchmark.parts for position in part.rows}
    for row in page.board.rows:
        if row.status != "ok":
            yield Offered(row, "", "")
            continue
        path = folder / "bundles" / f"{digest([*row.column, row.method])[:16]}.zip"
        disk.remove(path)
        part = places[row.column, row.method]
        submit(StudyRow(study, part, row.column, row.method), path, registry, licence=licence, weights=weights)
        yield Offered(row, path.name, sha256(disk.read(path) or b"").hexdigest())


def _day(study: Study) -> str:
    """Return the day of a study's last event or, without a log, that on which its suite was locked."""
    if study.manifest is not None:
        return _date(study.origin.stat().st_mtime)
    times = [event.time for event in RunLog(study.origin / LOG).news()]
    return _date(max(times) if times else (study.origin / LOCK).stat().st_mtime)


def _date(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):  # of a log that is anybody's
        return ""
