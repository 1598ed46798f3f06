"""Figures that a suite asks for: their numbers are those of the records, and what is missing is said on them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import partial
from math import sin
from pathlib import Path
from re import findall
from statistics import fmean, stdev
from typing import Any

import pytest

import nrbench as package
from nrbench import Entry, Evidence, Line, Row, Sheet
from nrbench.families.sheet import Head, heads
from nrbench.report.drawing import drawn as picture
from nrbench.report.drawing import shortened
from nrbench.report.figures import figures
from nrbench.report.plots import BestOfGroups, Curve, Scatter
from nrbench.report.sections import Tail
from nrbench.report.training import _draw
from nrbench_noise import Gaussian, NoNoise
from tests.conftest import TINY, Finished

Command = Callable[..., Finished]
Write = Callable[..., Path]
PROBES = """\
probes:
  accuracy: {name: performance, on: test}
  noisy: {name: performance, on: test, noise: {name: gaussian, sigma: 0.2}, draws: 2}
  steps: {name: gradient_cosine}
  way: {name: distance}
  plane: {name: loss_landscape, points: 5, images: 20, reach: 0.5, noise: {name: gaussian, sigma: 0.2}}
  line: {name: loss_landscape, points: 9, images: 20, dimensions: 1}
"""
FIGURES = """\
figures:
  1a: {name: curve, y: {probe: accuracy, number: accuracy}, beside: {probe: noisy, number: accuracy}, until: 0.5, seen: Look.}
  Loss: {name: curve, y: {}, log: true}
  2: {name: scatter, x: clean, y: Gaussian 0.3, groups: [[SGD, RWP]]}
  3: {name: trajectory, x: {probe: steps, number: loss}, y: {probe: steps, number: sharpness}, diagonal: true}
  4: {name: best_of_groups, groups: {SGD: SGD, RWP: RWP}, noise: [clean, "Gaussian *"]}
  5: {name: bars, y: {probe: way, number: in_this_epoch, of: sum, label: "distance, ‖w‖"}}
  6: {name: surface, probe: plane}
  7: {name: surface, probe: line, methods: RWP}
"""


def test_a_shortened_picture_is_the_same(tmp_path: Path) -> None:
    """Each corner of its lines is within a twentieth of a point of where it was, however many come before; curves stay whole."""
    corners = [(i * 1.037, 100 + 50 * sin(i / 7)) for i in range(500)]
    line = "M" + "L".join(f" {x:.6f} {y:.6f} \n" for x, y in corners)
    curved = 'd="M 0 1.5 C 0.4 1.5 0.8 1.3 1.1 1.1 z"'
    short = shortened(f'<g>\n  <path d="{line}z" style="fill: none; stroke: #ff0000"/>\n  <path {curved}/>\n</g>')
    assert curved in short
    assert 'style="fill:none;stroke:#ff0000"/>\n<path' in short
    start, *steps = findall(r"[Ml](-?[\d.]+) ?(-?[\d.]+)", short.split('"')[1])
    x, y = (float(number) for number in start)
    for (across, up), (dx, dy) in zip(corners[1:], steps, strict=True):
        x, y = x + float(dx), y + float(dy)
        assert abs(x - across) < 0.0501
        assert abs(y - up) < 0.0501


def test_a_picture_of_twelve_methods_is_small() -> None:
    """Twelve curves with bands of 24 epochs in two panels take no more than 60 kB."""
    epochs = range(1, 25)
    curves = {
        f"Quadratic RWP σ=0.{m}": (epochs, [[sin(e / 5 + m) + s / 9 for e in epochs] for s in range(5)])
        for m in range(12)
    }
    figure = picture(
        "Two", "Waves.", partial(_draw, panels={"loss": curves, "accuracy": curves}), panels=2, size=(9.8, 3.8)
    )
    assert 20_000 < len(figure.svg) <= 60_000


def lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture
def drawn(nrbench: Command, write_suite: Write, tmp_path: Path) -> Path:
    path = write_suite(TINY + PROBES + FIGURES)
    assert nrbench("run", path, "-o", tmp_path / "out", "-q").code == 0
    return tmp_path / "out" / "tiny"


def test_the_numbers_of_a_figure_are_those_of_the_records(drawn: Path) -> None:
    """Mean and standard deviation over seeds of a curve, points of a trajectory, sums and places of a surface, each from probes.csv."""
    measured: dict[tuple[str, ...], list[float]] = {}
    for line in lines(drawn / "probes.csv"):
        key = (line["probe"], line["number"], line["method"], line["epoch"])
        measured.setdefault(key, []).append(float(line["value"]))
    curve = lines(drawn / "figures" / "figure-1a.csv")
    assert {line["method"] for line in curve} == {"SGD", "RWP", "SGD, noisy: accuracy", "RWP, noisy: accuracy"}
    for line in curve:
        method, _, beside = line["method"].partition(", ")
        probe = "noisy" if beside else "accuracy"
        values = measured[probe, "accuracy", method, line["epoch"].removesuffix(".0")]
        assert float(line["mean"]) == pytest.approx(fmean(values))
        assert float(line["std"]) == pytest.approx(stdev(values))
    for line in lines(drawn / "figures" / "figure-3.csv"):
        at = line["method"], line["epoch"].removesuffix(".0")
        assert float(line["x"]) == pytest.approx(fmean(measured["steps", "loss", *at]))
        assert float(line["y"]) == pytest.approx(fmean(measured["steps", "sharpness", *at]))
    for line in lines(drawn / "figures" / "figure-5.csv"):
        gone = [
            sum(each)
            for each in zip(*(measured["way", "in_this_epoch", line["method"], e] for e in "123"), strict=True)
        ]
        assert float(line["mean"]) == pytest.approx(fmean(gone))
    places = {
        (line["method"], line["place"]): float(line["loss"]) for line in lines(drawn / "figures" / "figure-6.csv")
    }
    assert len(places) == 2 * (5 * 5 + 2)
    assert all(loss == measured["plane", place, method, "3"][0] for (method, place), loss in places.items())


def test_accuracies_are_those_of_the_board(drawn: Path) -> None:
    """A scatter and the best of a group have the rows' own accuracies and spreads."""
    board = package.load(drawn)
    for line in lines(drawn / "figures" / "figure-2.csv"):
        for axis, noise in (("x", "clean"), ("y", "Gaussian 0.3")):
            row = board[line["method"], noise][0]
            assert float(line[axis]) == row.accuracy
            assert float(line[f"{axis}_std"]) == row.weight_std
    best = lines(drawn / "figures" / "figure-4.csv")
    assert {(line["group"], line["sigma"]) for line in best} == {
        (g, s) for g in ("SGD", "RWP") for s in ("0.0", "0.1", "0.3")
    }


def test_figures_are_on_the_page_and_the_same_again(drawn: Path, nrbench: Command) -> None:
    """Every figure has a sentence, files by its label and the same bytes when drawn again; other formats are written if asked for."""
    text = (drawn / "leaderboard.md").read_text()
    assert "![Look.](figures/figure-1a.svg)" in text
    assert text.index("## Figures") < text.index("## Accuracy")
    before = {path.name: path.read_bytes() for path in (drawn / "figures").iterdir()}
    assert {f"figure-{name}.svg" for name in ("1a", "loss", *"234567")} <= set(before)
    assert nrbench("report", drawn).code == 0
    assert {path.name: path.read_bytes() for path in (drawn / "figures").iterdir()} == before
    assert not [name for name in before if name.endswith((".png", ".pdf"))]


def test_other_formats(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """PNG and PDF stand beside the SVG, and go when they are no longer asked for."""
    path = write_suite(TINY + "figures: {Loss: {name: curve, y: {}}}\n")
    for _ in range(2):
        assert nrbench("run", path, "-o", tmp_path, "-q", "--set", "report.formats=[png, pdf]").code == 0
        folder = tmp_path / "tiny" / "figures"
        assert (folder / "figure-loss.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / "figure-loss.pdf").read_bytes().startswith(b"%PDF")
    assert nrbench("run", path, "-o", tmp_path, "-q").code == 0
    assert not list(folder.glob("*.p*"))


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ("{name: curve, y: {probe: acuracy}}", "there is no 'acuracy' under probes; did you mean 'accuracy'?"),
        ("{name: curve, y: {}, methods: [RPW]}", "there is no 'RPW' under methods; did you mean 'RWP'?"),
        (
            "{name: scatter, x: clean, y: Gausian 0.3}",
            "there is no 'Gausian 0.3' under noise; did you mean 'Gaussian 0.3'?",
        ),
        ("{name: surface, probe: plain}", "there is no 'plain' under probes; did you mean 'plane'?"),
        ("{name: best_of_groups, groups: {A: 'SAM *'}}", "there is no 'SAM *' under methods"),
        ("{name: curve}", "figures.1.y: it is required"),
        ("{name: curv, y: {}}", "did you mean 'curve'?"),
    ],
)
def test_what_the_suite_does_not_have(nrbench: Command, write_suite: Write, figure: str, message: str) -> None:
    """A figure of a probe, method or noise model that is not there is refused where it is written."""
    text = TINY + PROBES + f"figures:\n  1: {figure}\n"
    done = nrbench("validate", write_suite(text))
    assert done.code == 2
    assert message in done.err
    assert f":{text.count(chr(10))}:" in done.err


def test_figures_of_a_collection(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """A collection's own figures show the methods of all its suites, and what none of them has is refused."""
    write_suite(TINY.replace("name: tiny", "name: first").replace("  RWP: {name: rwp, sigma: 0.1}\n", ""), "first.yaml")
    write_suite(TINY.replace("name: tiny", "name: second").replace("  SGD: {name: sgd}\n", ""), "second.yaml")
    text = "name: both\ninclude: [first.yaml, second.yaml]\nfigures:\n  Loss: {name: curve, y: {}, methods: METHOD}\n"
    path = write_suite(text.replace("METHOD", "[SGD, RWP]"), "both.yaml")
    assert nrbench("run", path, "-o", tmp_path / "out", "-q").code == 0
    found = lines(tmp_path / "out" / "both" / "figures" / "figure-loss.csv")
    assert {line["method"] for line in found} == {"SGD", "RWP"}
    done = nrbench("validate", write_suite(text.replace("METHOD", "SAM"), "none.yaml"))
    assert done.code == 2
    assert "none.yaml:4:39: figures.Loss.methods: there is no 'SAM' under methods" in done.err


def test_a_sentence_that_begins_with_a_number_is_no_number() -> None:
    """An interval and a number with its uncertainties are numbers; words after a number are words, which may break."""
    texts = {"1.00 to 2.00": True, "60.1 ±1.0 ±2.0": True, "77,072 weights (9 convolution, 1 linear)": False, "": True}
    for text, numeric in texts.items():
        sheet = Sheet("title", "what", heads("how much"), (Line("a", (Entry("5"),)), Line("b", (Entry(text),))))
        assert sheet.is_numeric(0) is numeric


def row(method: str, accuracy: float | None, **labels: Any) -> Row:
    given = {"noise": "clean", "backbone": "net", "dataset": "images", "status": "ok" if accuracy else "error"}
    return Row(method=method, accuracy=accuracy, weight_std=1.0, validation_accuracy=accuracy, **{**given, **labels})


def test_what_is_missing_is_said(registry: package.Registry, tiny: package.Suite) -> None:
    """A method without a number is named under the figure; of one seed there is no band."""
    rows = [
        row("SGD", 80.0),
        row("SGD", 70.0, noise="Gaussian 0.3"),
        row("RWP", 81.0),
        row("RWP", None, noise="Gaussian 0.3"),
    ]
    series = [
        package.Series(
            probe="",
            number="loss",
            method="SGD",
            backbone="net",
            dataset="images",
            epochs=(1, 2),
            by_seed=((1.0, 0.5),),
        )
    ]
    evidence = Evidence(rows, tiny.methods, tiny.noise, series=series)
    (scatter,) = Scatter(x="clean", y="Gaussian 0.3").parts(evidence)
    assert scatter.seen.endswith("Without a number, and so not in it: RWP.")
    (curve,) = Curve.model_validate({"y": {}}).parts(evidence)
    assert curve.seen.endswith("not in it: RWP.")
    assert b"PolyCollection" not in curve.svg
    assert [line.split(",")[-1] for line in curve.data.split("\n")[1:3]] == ["0.0", "0.0"]
    best = BestOfGroups.model_validate({"groups": {"all": "*"}}).parts(evidence)
    assert "RWP,81.0" in next(iter(best)).data


def test_of_many_lines_the_highest_are_drawn_and_the_baseline() -> None:
    """Of twenty lines fourteen are in the picture, best first and SGD before them although it is last; of 151 there is none."""
    columns = tuple(Head(text, noise=text) for text in ("clean", "small", "large"))
    noise = {"clean": NoNoise(), "small": Gaussian(sigma=0.1), "large": Gaussian(sigma=0.2)}

    def sheet(count: int) -> Sheet:
        labels = [f"M{number:03}" for number in range(1, count)]
        lines = [Line(label, (Entry("", accuracy=50.0 + n),) * 3) for n, label in enumerate(labels)]
        return Sheet("title", "method", columns, (Line("SGD", (Entry("", accuracy=1.0),) * 3), *lines))

    (figure,) = figures([sheet(20)], noise, "SGD")
    places = {
        label: figure.svg.find(label.encode()) for label in ["SGD", *(f"M{number:03}" for number in range(1, 20))]
    }
    shown = sorted((label for label, place in places.items() if place >= 0), key=places.__getitem__)
    assert shown == ["SGD", *(f"M{number:03}" for number in range(19, 6, -1))]
    assert "Of 20 lines the highest are drawn, best first." in figure.seen
    assert not list(figures([sheet(151)], noise, "SGD"))


def test_of_many_methods_the_sections_show_the_highest() -> None:
    """Of thirty methods tails are shown of the 24 of the highest mean, of one without a number nothing."""
    numbers = {"noise": "large", "minimum": 1.0, "quantile_5": 1.0, "yield_1": 0.5}
    rows = [row(f"M{number:02}", 90.0 - number, **numbers) for number in range(30)]
    rows.append(row("M99", None, **numbers))
    evidence = Evidence(rows, {}, {"large": Gaussian(sigma=0.2)})
    (tail,) = Tail().parts(evidence)
    assert [line.label for line in tail.lines] == [f"M{number:02}" for number in range(24)]
    assert tail.notes[0].endswith("Of 31 methods the highest are shown.")
