"""The page: all that a reader is told of a leaderboard, made once and then shown in every format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain

from nrbench.base.errors import printable
from nrbench.board.growing import Growth
from nrbench.board.leaderboard import Leaderboard
from nrbench.board.sheets import method_sheet, network_title
from nrbench.families.row import Column
from nrbench.families.section import Section
from nrbench.families.sheet import Figure, Sheet
from nrbench.jobs.store import Store
from nrbench.report.asked_figures import asked_figures, views
from nrbench.report.asked_tables import asked_tables
from nrbench.report.claim_sheets import claim_sheets
from nrbench.report.cost import Cost, cost_sheets, costs
from nrbench.report.details import configuration, every_row
from nrbench.report.figures import figures
from nrbench.report.lead import lead_sheet, ranking_parts, sentences
from nrbench.report.section_parts import made
from nrbench.report.sections import SECTIONS
from nrbench.report.training import training_curves
from nrbench.suite.suite import Benchmark, Suite

EXPLANATION = (
    "Accuracy in percent: mean ± noise uncertainty (mean over training seeds of the standard deviation over noise draws) "
    "± weight uncertainty (standard deviation over training seeds of the mean over draws). Without noise there is the "
    "second alone. Bold is every method that cannot be told from the highest mean of its column (paired t test over seeds, "
    "Holm at 5 %), underlined the highest mean itself; passes are forward-backward passes per training step; IQM is the "
    "interquartile mean over columns and seeds (Agarwal et al. 2021)."
)
MAIN = ("Accuracy", "Claims", "Ranking")
"""The chapters that fit on a terminal and into a paper."""
SCOPE = "Errors of stored weights only: no converters, no output noise, no wire resistance."


@dataclass(frozen=True, slots=True)
class Chapter:
    """Sheets and figures that belong together."""

    title: str
    parts: tuple[Sheet | Figure, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A leaderboard as a reader sees it."""

    board: Leaderboard
    title: str
    description: str
    lead: tuple[str, ...]
    """Who is first, and what is not told apart from it."""
    flags: tuple[str, ...]
    """What a reader should know before trusting a number."""
    facts: tuple[str, ...]
    """Seeds, draws and epochs, and what the numbers were computed with."""
    chapters: tuple[Chapter, ...]
    citation: str
    """How to cite the numbers."""
    costs: tuple[Cost, ...] = ()
    """What the trainings cost where they ran; times are among it, which no format shows."""
    notes: tuple[str, ...] = (EXPLANATION, SCOPE)

    @property
    def main(self) -> list[Sheet]:
        """The sheets that fit on a terminal and into a paper."""
        return [
            part
            for chapter in self.chapters
            if chapter.title in MAIN
            for part in chapter.parts
            if isinstance(part, Sheet)
        ]

    @property
    def sheets(self) -> list[Sheet]:
        """Every sheet, in the order of the page."""
        return [part for chapter in self.chapters for part in chapter.parts if isinstance(part, Sheet)]

    @property
    def figures(self) -> dict[str, Figure]:
        """Every figure by the name of its files, in the order of the page."""
        every = [part for chapter in self.chapters for part in chapter.parts if isinstance(part, Figure)]
        named: dict[str, Figure] = {}
        for number, figure in enumerate(every, start=1):
            stem = figure.stem if figure.stem and figure.stem not in named and not figure.stem.isdigit() else ""
            named[stem or str(number)] = figure
        return named


def page_of(board: Leaderboard, benchmark: Benchmark, store: Store) -> Page:
    """Return the page of a leaderboard; what is shown of trainings and of single draws is read from the store."""
    asked, spent = list(asked_tables(board.tables)), costs(benchmark, store)
    claims = list(claim_sheets(board.claims))
    whole = [part for part in benchmark.parts if not part.tables]
    plain = [sheet for part in whole for sheet in _method_sheets(board, part)]
    chapters: dict[str, Iterable[Sheet | Figure]] = {
        "Figures": asked_figures(board, benchmark, store),
        "Accuracy against the strength of the noise": figures(
            [*asked, *plain], benchmark.section("noise"), board.baseline
        ),
        "Who leads": (sheet for part in whole for sheet in _leads(board, part)),
        "Accuracy": [*asked, *plain],
        "Claims": claims,
        "Ranking": (part for ranking in board.rankings for part in ranking_parts(ranking)),
        "Beside accuracy": chain(_sections(board, benchmark, store), cost_sheets(spent)),
        "Training": training_curves(benchmark, store),
        "Every row": every_row(board, store),
        "Configuration": configuration(benchmark),
    }
    shown = (Chapter(title, tuple(parts)) for title, parts in chapters.items())
    return Page(
        board=board,
        title=board.suite,
        description=benchmark.description,
        lead=tuple(sentences(board)),
        flags=(*board.flags, *_failures(board)),
        facts=tuple(_facts(board, benchmark)),
        chapters=tuple(chapter for chapter in shown if chapter.parts),
        citation=_citation(board, benchmark),
        costs=tuple(spent),
    )


# -- all methods under all noise models -------------------------------------------------------------------------------


def _networks(suite: Suite) -> Iterator[list[Column]]:
    """Yield the columns of each table: of each data set, backbone, selection and treatment of BatchNorm."""
    networks: dict[tuple[str, ...], list[Column]] = {}
    for column in suite.own_columns():
        networks.setdefault(column[:4], []).append(column)
    yield from networks.values()


def _leads(board: Leaderboard, suite: Suite) -> Iterator[Sheet]:
    own = [row for row in board.rows if row.method in suite.methods]
    for columns in _networks(suite):
        yield lead_sheet(columns, own, f"Who leads: {network_title(columns[0])}")


def _method_sheets(board: Leaderboard, suite: Suite) -> Iterator[Sheet]:
    rows = {(row.column, row.method): row for row in board.rows}
    for columns in _networks(suite):
        yield method_sheet(columns, rows, list(suite.methods))


# -- sections -----------------------------------------------------------------------------------------------------------


def _sections(board: Leaderboard, benchmark: Benchmark, store: Store) -> Iterator[Sheet | Figure]:
    """Yield what the sections of each suite make of its rows, one selection and one treatment of BatchNorm at a time."""
    for part in benchmark.parts:
        asked: Sequence[Section] = SECTIONS if part.report.sections is None else part.report.sections
        for kind, evidence in views(board, part, store):
            for section in asked:
                yield from (replace(each, title=f"{each.title} ({kind})") for each in made(section, evidence))


# -- sentences --------------------------------------------------------------------------------------------------------


def _failures(board: Leaderboard) -> list[str]:
    """Return a sentence for each reason that rows have no result, with how many rows it concerns."""
    reasons = Counter((row.method, printable(row.reason)) for row in board.rows if row.reason)
    return [f"{method}: {reason} ({count} rows)" for (method, reason), count in reasons.items()]


def _facts(board: Leaderboard, benchmark: Benchmark) -> Iterator[str]:
    for part in benchmark.parts:
        budget = "" if part.recipe.budget == "epochs" else " of SGD, or as many passes"
        yield f"{part.name}: {part.seed_count} training seeds, {part.draws} noise draws, {part.recipe.epochs} epochs{budget}."
    if board.growth is not None:
        yield from _growth(board.growth)
    environments = "; ".join(
        f"nrbench {e.nrbench}, torch {e.torch}, NumPy {e.numpy}, {e.device} ({e.capability})"
        for e in board.environments
    )
    yield f"Precision {board.precision}. Computed with {environments or 'nothing yet'}."


def _growth(growth: Growth) -> Iterator[str]:
    yield (
        f"Seeds were added one by one from {growth.first} to {growth.seeds}, of {growth.last} at most, for methods to be "
        f"told apart. Intervals and tests are repeated ones, each at {100 * growth.level:.2f} %, so that 95 % hold over "
        "all looks together (Lan and DeMets 1983; Jennison and Turnbull 1989)."
    )
    if growth.unresolved:
        yield "Not told apart: " + "; ".join(f"{a} and {b}" for a, b in growth.unresolved) + "."


def _citation(board: Leaderboard, benchmark: Benchmark) -> str:
    """Return how to cite a board: by the hash of its numbers, and the suite by that of its resolved text."""
    versions = ", ".join(sorted({each.nrbench for each in board.environments})) or "unknown"
    return (
        f"nrbench {versions}: leaderboard of the suite {board.suite}\n"
        f"  leaderboard.json  SHA-256 {sha256(board.json_bytes()).hexdigest()}\n"
        f"  suite.lock.json   SHA-256 {sha256(benchmark.lock()).hexdigest()}"
    )
