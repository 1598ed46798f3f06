"""The leaderboard as one self-contained HTML page, readable without JavaScript."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined

import nrbench.report.pivots as pivots
from nrbench.board.leaderboard import Leaderboard
from nrbench.report.cost import Cost, Place
from nrbench.report.figures import Figure
from nrbench.report.table import EXPLANATION, RANKING_HEADERS, SCOPE, provenance, ranking_rows, ranking_title, tables
from nrbench.suite.suite import Benchmark


def html_page(board: Leaderboard, suite: Benchmark, costs: Mapping[Place, Cost], drawn: Sequence[Figure] = ()) -> str:
    """Return the page; every label in it is escaped, and it asks the network for nothing."""
    environment = Environment(
        loader=PackageLoader("nrbench.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("leaderboard.html").render(
        board=board,
        suite=suite,
        tables=list(tables(board, suite, costs)),
        pivots=pivots,
        pictures=[(figure.title, b64encode(figure.svg).decode()) for figure in drawn],
        spans=spans,
        claims=pivots.claim_groups(board.claims),
        rankings=[(ranking_title(ranking), list(ranking_rows(ranking))) for ranking in board.rankings],
        ranking_headers=RANKING_HEADERS,
        explanation=EXPLANATION,
        scope=SCOPE,
        provenance=provenance(board),
    )
    return page + "\n"


def spans(groups: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield each run of equal groups and its length."""
    for group, run in groupby(groups):
        yield group, len(list(run))
