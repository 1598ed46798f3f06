from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nrbench import Claim, Component, Evidence, Registry, Row, Series, SuiteError, Verdict, load_suite
from nrbench.suite.shipped import shipped_suites
from nrbench.suite.suite import Benchmark
from nrbench_claims import (
    Better,
    Correlated,
    GainGrows,
    OptimumAbove,
    OptimumInside,
    ProbeOrder,
    ProbePeak,
    SameOptimum,
)
from nrbench_methods import RWP
from nrbench_noise import Gaussian, NoNoise
from tests.conftest import TINY
from tests.rows import row


@pytest.fixture(scope="module")
def paper(registry: Registry) -> Benchmark:
    return load_suite(shipped_suites()["paper"], registry)


def on_paper(paper: Benchmark, label: str) -> Verdict:
    """What the numbers that the paper printed say of one of its claims."""
    methods, noise = paper.section("methods"), paper.section("noise")
    claim = paper.claims[label]
    assert paper.reference is not None
    return claim.verdict(Evidence((), methods, noise, paper.reference.tables))


# what the paper's own tables say, worked out by hand from its numbers
READINGS = {
    "C1": "3 of 4, 1 tied",  # 0.05 at 0.03, 0.06 at 0.05, 0.08 at 0.07; 77.65 against 77.64 at 0.02
    "C2": "5 of 5",
    "C3": "3 of 4",  # at 0.07 ρ = 0.2 is better than 0.3
    "C4": "23 of 24",  # off-to-on SAM at 0.05 is below
    "C5": "7 of 8",  # SAM at 0.03 is best with the linear ramp
    "C6": "6 of 6",
    "C7 (RWP)": "1 of 1",
    "C7 (SAM)": "1 of 1",
    "C8": "4 of 4",
    "C9": "14 of 14",  # 7 networks, both ways
    "C10": "8 of 8",
    "C10 (gain)": "1 of 1",  # 18.76 points
    "C16": "5 of 5",
    "C17": "12 of 16",  # ρ = 0.8 fails four times
    "C18": "3 of 4",  # 0.2 at 0.07, as without noise
    "C19": "1 of 1",
    "C20": "0 of 1",  # the edge of the grid
    "C21": "4 of 4",
    "C22": "8 of 8",  # SGD beats six RWPs, and SAM 0.2 and 0.3 beat SGD
    "C23": "2 of 2",
    "C24": "5 of 8",  # RWP 4 of 4, SAM 1 of 4
    "C25": "2 of 2",
    "C26": "4 of 4",
    "C27": "8 of 8",
}


def test_every_claim_that_tables_decide_is_there(paper: Benchmark) -> None:
    """The paper's suite has the claims that its tables can decide, and no other."""
    assert set(paper.claims) == set(READINGS)


@pytest.mark.parametrize("label", READINGS)
def test_the_readings_of_the_papers_own_numbers(paper: Benchmark, label: str) -> None:
    """Fed with the numbers that the paper printed, each claim reads as they do by hand."""
    assert on_paper(paper, label).reading == READINGS[label]


def test_some_effects_by_hand(paper: Benchmark) -> None:
    """Gains of the best ramps, losses of ResNet-50, correlations and distances are those of the printed numbers."""
    gains = [cell.effect for cell in on_paper(paper, "C6").cells]
    assert gains == pytest.approx([0.74 - 0.61, 1.39 - 0.74, 3.91 - 1.39, 0.79 - 0.37, 1.6 - 0.79, 6.63 - 1.6])
    steps = [cell.effect for cell in on_paper(paper, "C21").cells]
    assert steps == pytest.approx(list(np.diff([-2.19, -1.47, -0.56, 4.53, 7.75])))
    losses = [cell.effect for cell in on_paper(paper, "C10").cells]
    assert losses[:3] == pytest.approx([54.81 - 34.56, 54.81 - 25.51, 54.81 - 25.44])
    assert losses[6:] == pytest.approx([18.76 - 1.49, 9.13 - 0.96])
    assert [cell.cell.rpartition(" = ")[2] for cell in on_paper(paper, "C23").cells] == ["0.987", "0.986"]
    assert on_paper(paper, "C20").effect == pytest.approx(59.39 - 61.36)
    assert on_paper(paper, "C24").cells[3].effect == pytest.approx(65.27 - 61.36)


def test_the_verdicts_of_the_papers_own_numbers(paper: Benchmark) -> None:
    """With three seeds its numbers support one claim about all of its cells, contradict one, and leave the rest open."""
    verdicts = {label: on_paper(paper, label).verdict for label in READINGS}
    decided = {label: verdict for label, verdict in verdicts.items() if verdict != "undecided"}
    assert decided == {"C7 (RWP)": "supported", "C17": "contradicted"}


# -- on rows made up here ---------------------------------------------------------------------------------------------

SHIFTS = np.array([0.0, 0.7, -0.4, 0.2, -0.5])
METHODS: dict[str, Component] = {f"R {s:g}": RWP(sigma=s) for s in (0.1, 0.2, 0.3)}
NOISE: dict[str, Component] = {"clean": NoNoise(), "G 0.1": Gaussian(sigma=0.1), "G 0.2": Gaussian(sigma=0.2)}


def rows(table: dict[str, tuple[float, float, float]], *, backbone: str = "net") -> list[Row]:
    """Rows under clean, G 0.1 and G 0.2 whose seeds differ by the same shifts, plus a little that is each row's own."""
    chance = np.random.default_rng(0)
    return [
        row(method, tuple((value + SHIFTS + chance.normal(0, 0.05, 5)).tolist()), noise, backbone)
        for method, values in table.items()
        for noise, value in zip(("clean", "G 0.1", "G 0.2"), values, strict=True)
    ]


GRID = {"R 0.1": (90.0, 80.0, 50.0), "R 0.2": (88.0, 84.0, 70.0), "R 0.3": (80.0, 78.0, 73.0), "S": (91.0, 82.0, 60.0)}


def check(kind: type[Claim], evidence: list[Row], **fields: Any) -> Verdict:
    return kind.model_validate({"text": "a sentence"} | fields).verdict(Evidence(evidence, METHODS, NOISE))


def test_better_takes_each_place_for_a_cell() -> None:
    """A pair is compared under every noise model and on every backbone that is asked for, each method by itself."""
    both = rows(GRID) + rows(GRID, backbone="wide")
    found = check(Better, both, pairs=[{"a": {"method": "R *"}, "b": {"method": "S"}, "under": {"noise": "G *"}}])
    assert found.of == 3 * 2 * 2
    above = [c.cell.partition(" over ")[0] for c in found.cells if c.agrees == "yes"]
    assert above == [
        f"R {s} ({n}, {b})" for b in ("net", "wide") for n, s in (("G 0.1", 0.2), ("G 0.2", 0.2), ("G 0.2", 0.3))
    ]


def test_better_of_groups_and_differences() -> None:
    """The best of a group stands for it, and a difference of two rows may be compared with another."""
    pair = {"a": {"best_of": "R *", "noise": "G 0.2"}, "b": {"method": "S", "noise": "G 0.2"}}
    assert check(Better, rows(GRID), pairs=[pair]).effect == pytest.approx(13, abs=0.1)
    loss = {
        "a": {"method": "S", "noise": "clean", "minus": {"method": "S", "noise": "G 0.2"}},
        "b": {"method": "R 0.3", "noise": "clean", "minus": {"method": "R 0.3", "noise": "G 0.2"}},
    }
    found = check(Better, rows(GRID), pairs=[loss])
    assert found.effect == pytest.approx(31 - 7, abs=0.2)
    assert found.verdict == "supported"
    assert " less " in found.cells[0].cell


def test_better_significantly() -> None:
    """A sentence about significance agrees only where the interval of the cell is above zero."""
    lines = [row("S", (80.2, 80.1, 79.9, 80.3, 80.0)), row("S", (80.2, 80.3, 80.1, 80.3, 80.2), "G 0.1")]
    lines += [row("R 0.1", (80.0,) * 5), row("R 0.1", (80.0,) * 5, "G 0.1")]
    assert stats.ttest_1samp(np.array(lines[0].by_seed) - 80, 0).pvalue > 0.05
    pair = {"a": {"method": "S"}, "b": {"method": "R 0.1"}, "under": {"noise": ["clean", "G 0.1"]}}
    agrees = [[c.agrees for c in check(Better, lines, pairs=[pair], significant=s).cells] for s in (True, False)]
    assert agrees == [["no", "yes"], ["yes", "yes"]]


def test_a_place_that_is_not_there_is_a_missing_cell() -> None:
    """A noise model that no row has is a cell that is missing, beside those that are there."""
    pair = {"a": {"method": "S"}, "b": {"method": "R 0.1"}, "under": {"noise": ["clean", "G 0.9"]}}
    found = check(Better, rows(GRID), pairs=[pair])
    assert [c.agrees for c in found.cells] == ["yes", "missing"]
    assert "G 0.9" in found.reason


def test_several_rows_without_a_rule_to_choose_are_refused() -> None:
    """A pattern for the other side that matches several rows is said to be ambiguous, and nothing is decided."""
    pair = {"a": {"method": "S"}, "b": {"method": "R *"}, "under": {"noise": "clean"}}
    assert "ask for the best of them" in check(Better, rows(GRID), pairs=[pair]).reason


def test_optimum_above_a_level_of_the_noise() -> None:
    """The best strength is compared with the noise's, and the effect is best above less best at or below."""
    fields = {"best_of": "R *", "field": "sigma", "above": {"field": "sigma"}, "under": {"noise": "G *"}}
    found = check(OptimumAbove, rows(GRID), **fields)
    assert (found.reading, found.verdict) == ("2 of 2", "supported")
    assert [cell.effect for cell in found.cells] == pytest.approx([84 - 80, 73 - 70], abs=0.15)
    doubled = check(OptimumAbove, rows(GRID), **(fields | {"above": {"field": "sigma", "times": 2.0}}))
    assert [cell.agrees for cell in doubled.cells] == ["no", "no"]
    assert doubled.cells[1].effect is None  # no strength of the grid is above 0.4


def test_optimum_above_a_number_and_an_optimum() -> None:
    """The limit may be a number, or the best strength under other noise."""
    fields: dict[str, Any] = {"best_of": "R *", "field": "sigma", "under": {"noise": "G 0.2"}}
    assert check(OptimumAbove, rows(GRID), **fields, above=0.25).reading == "1 of 1"
    elsewhere = {"best_of": "R *", "field": "sigma", "noise": "clean"}
    found = check(OptimumAbove, rows(GRID), **fields, above=elsewhere)
    assert found.effect == pytest.approx(73 - 50, abs=0.15)
    assert "above 0.1" in found.cells[0].cell
    assert "no number called rho" in check(OptimumAbove, rows(GRID), **(fields | {"field": "rho"}), above=0.1).reason


def test_optimum_inside_and_same_optimum() -> None:
    """The best strength is inside its grid at G 0.1 and at its end at G 0.2, so it is not the same for both."""
    fields: dict[str, Any] = {"best_of": "R *", "field": "sigma", "under": {"noise": "G *"}}
    inside = check(OptimumInside, rows(GRID), **fields)
    assert [cell.agrees for cell in inside.cells] == ["yes", "no"]
    assert [cell.effect for cell in inside.cells] == pytest.approx([4, -3], abs=0.15)
    same = check(SameOptimum, rows(GRID), **fields)
    assert [cell.agrees for cell in same.cells] == ["yes", "no"]  # 0.2 is best on average
    clean = check(SameOptimum, rows(GRID), **fields, as_under="clean")
    assert [cell.effect for cell in clean.cells] == pytest.approx([80 - 84, 50 - 73], abs=0.15)


def test_gain_grows_by_steps() -> None:
    """The gain of the best of the group over S is -1, 2 and 13: two steps, of 3 and 11 points."""
    gains = [{"of": {"best_of": "R *"}, "over": {"method": "S"}}]
    found = check(GainGrows, rows(GRID), gains=gains, along=["clean", "G 0.1", "G 0.2"])
    assert [cell.effect for cell in found.cells] == pytest.approx([3, 11], abs=0.3)
    assert found.verdict == "supported"
    missing = check(GainGrows, rows(GRID), gains=gains, along=["clean", "G 0.1", "G 0.9"])
    assert [cell.agrees for cell in missing.cells] == ["yes", "missing"]


def test_correlated_over_methods_for_each_seed() -> None:
    """The effect is the mean over seeds of scipy's correlation over the group, less what it has to exceed."""
    lines = rows(GRID)
    found = check(Correlated, lines, groups=["R *"], x="clean", y="G 0.2", at_least=0.5)
    seeds = [
        stats.pearsonr(
            *([line.by_seed[s] for line in lines if line.method != "S" and line.noise == n] for n in ("clean", "G 0.2"))
        )
        for s in range(5)
    ]
    assert found.effect == pytest.approx(np.mean([r.statistic for r in seeds]) - 0.5)
    assert (found.verdict, found.reading) == ("contradicted", "0 of 1")
    assert (
        "no correlation"
        in check(Correlated, rows({"R 0.1": GRID["R 0.1"]}), groups=["R *"], x="clean", y="G 0.2").reason
    )


def test_correlated_pairs_methods_and_not_positions() -> None:
    """Rows in another order, or more methods under one noise model than under the other, change nothing."""
    lines = rows(GRID)
    fields = {"groups": ["R *"], "x": "clean", "y": "G 0.2", "at_least": 0.5}
    more = [*lines, *(line for line in rows({"R 0.4": (1.0, 2.0, 99.0)}) if line.noise == "G 0.2")]
    assert check(Correlated, more[::-1], **fields).effect == pytest.approx(check(Correlated, lines, **fields).effect)


def test_a_cell_with_nothing_on_the_other_side_decides_nothing() -> None:
    """Where the grid has no strength on one side the reading stands, and the claim says why it is undecided."""
    found = check(OptimumAbove, rows(GRID), best_of="R *", field="sigma", above=0.05, under={"noise": "G *"})
    assert (found.reading, found.verdict) == ("2 of 2", "undecided")
    assert "no strength on the other side" in found.reason


def test_a_member_that_diverged_is_worse_than_anything() -> None:
    """It is never the best; a side on which all diverged has nothing to be compared with."""
    lines = [line for line in rows(GRID) if line.method != "R 0.3"]
    lines += [row("R 0.3", (None,) * 5, noise, status="diverged") for noise in ("clean", "G 0.1", "G 0.2")]
    found = check(OptimumAbove, lines, best_of="R *", field="sigma", above=0.25, under={"noise": "G *"})
    assert [cell.agrees for cell in found.cells] == ["no", "no"]
    inside = check(OptimumInside, lines, best_of="R *", field="sigma", under={"noise": "G 0.1"})
    assert inside.effect == pytest.approx(84 - 80, abs=0.15)


def test_every_pattern_of_a_list_has_to_match() -> None:
    """A group that names a method which is not there is missing, not silently smaller."""
    pair = {"a": {"method": "S"}, "b": {"best_of": ["R 0.1", "R 9.9"]}, "under": {"noise": "clean"}}
    found = check(Better, rows(GRID), pairs=[pair])
    assert (found.verdict, found.reason) == ("undecided", "there is no row for best of R 9.9")


def test_a_mistake_in_a_claim_is_located(write_suite: Callable[..., Path], registry: Registry) -> None:
    """A field that a claim does not have is an error at its place, with what was meant, beside all other mistakes."""
    claims = """\
claims:
  C1: {name: better, text: x, pair: []}
  C2: {name: better, text: x, pairs: [{a: {methods: RWP}, b: {method: SGD}}]}
  C3: {name: beter, text: x}
  C4: {name: optimum_above, text: x, best_of: "R*", field: sigma, above: {feld: sigma}}
"""
    with pytest.raises(SuiteError) as caught:
        load_suite(write_suite(TINY.replace("lr: 0.05", "lrr: 0.05") + claims), registry)
    found = {problem.path: f"{problem.message} {problem.hint}" for problem in caught.value.problems}
    assert "did you mean 'lr'" in found["recipe.optimizer.lrr"]
    assert "did you mean 'pairs'" in found["claims.C1.pair"]
    assert "did you mean 'method'" in found["claims.C2.pairs.0.a.methods"]
    assert "did you mean 'better'" in found["claims.C3.name"]
    assert any(path.startswith("claims.C4.above") for path in found)


def test_the_docs_show_these_verdicts(paper: Benchmark) -> None:
    """The table in docs/paper.md is what the code finds today."""
    text = (Path(__file__).parent.parent.parent / "docs" / "paper.md").read_text()
    for label, claim in paper.claims.items():
        found = on_paper(paper, label)
        effect = "" if found.effect is None else f"{found.effect:+.2f}"
        interval = "" if found.interval is None else "{:.2f} to {:.2f}".format(*found.interval)
        line = (
            f"| {label} | {claim.text} ({claim.source}) | {found.reading} | {found.verdict} | {effect} | {interval} |"
        )
        assert line in text


def test_the_docs_show_the_claims_about_training_too(registry: Registry) -> None:
    """Each claim whose evidence is what probes measure stands in docs/paper.md, with its sentence and its place."""
    text = (Path(__file__).parent.parent.parent / "docs" / "paper.md").read_text()
    claims = load_suite(shipped_suites()["paper/figures"], registry).claims
    assert {label.partition(" ")[0] for label in claims} >= {"C11", "C15", "C28", "C36"}
    for label, claim in claims.items():
        assert f"| {label} | {claim.text} ({claim.source}) | " in text


# -- what probes measured -----------------------------------------------------------------------------------------------------


def series(method: str, *by_seed: tuple[float, ...], backbone: str = "net") -> Series:
    epochs = tuple(range(1, len(by_seed[0]) + 1))
    return Series(
        probe="gradient",
        number="norm",
        method=method,
        backbone=backbone,
        dataset="data",
        epochs=epochs,
        by_seed=by_seed,
    )


def ordered(found: list[Series], **fields: Any) -> Verdict:
    claim = {"name": "probe_order", "text": "x", "probe": "gradient", "number": "norm", "order": ["SGD", "RWP", "SAM"]}
    return ProbeOrder.model_validate(claim | fields).verdict(Evidence(series=found))


SGD_SEEDS = ((3.0, 5.0), (3.2, 5.4), (2.9, 4.8))
RWP_SEEDS = ((2.0, 3.0), (2.1, 3.1), (1.8, 2.9))
SAM_SEEDS = ((0.5, 3.0), (0.6, 3.4), (0.2, 2.8))


def test_an_order_of_what_probes_measured() -> None:
    """Each step is a paired difference over seeds, as scipy has it, of means, sums or last values over the epochs."""
    found = [series("SGD", *SGD_SEEDS), series("RWP", *RWP_SEEDS), series("SAM", *SAM_SEEDS)]
    for over, of in (("mean", np.mean), ("sum", np.sum), ("last", lambda values: values[-1])):
        verdict = ordered(found, over=over)
        for cell, (larger, smaller) in zip(
            verdict.cells, ((SGD_SEEDS, RWP_SEEDS), (RWP_SEEDS, SAM_SEEDS)), strict=True
        ):
            first, second = ([of(values) for values in seeds] for seeds in (larger, smaller))
            test = stats.ttest_rel(first, second)
            assert cell.effect == pytest.approx(np.mean(first) - np.mean(second))
            assert cell.interval == pytest.approx(tuple(test.confidence_interval()))
    assert ordered(found, over="mean").verdict == "supported"
    assert ordered(found, over="last").reading == "1 of 2"  # at the end SAM is above RWP
    assert ordered(found, order=["SAM", "SGD"]).verdict == "contradicted"


def test_what_no_probe_has_measured_is_undecided() -> None:
    """Without the probe, its number or a method's records a claim says what is missing; other networks are cells of their own."""
    found = [series("SGD", *SGD_SEEDS), series("RWP", *RWP_SEEDS)]
    assert "gradient has measured no other of SGD" in ordered(found, number="other").reason
    assert "gradient has measured no norm of SAM" in ordered(found).reason
    assert "no probe has measured anything" in ordered([]).reason
    both = [*found, *(series(s.method, *s.by_seed, backbone="wide") for s in found)]
    assert ordered(both, order=["SGD", "RWP"]).of == 2
    assert ordered(both, order=["SGD", "RWP"], under={"backbone": "wide"}).of == 1


def test_parts_of_a_training_multiples_and_other_numbers() -> None:
    """What stands in the row may be a part of the epochs, a multiple, or another probe's number; methods stand in in turn."""
    found = [
        series("SGD", (1.0, 4.0, 3.0, 2.0), (1.2, 4.1, 3.3, 2.1), (0.9, 4.2, 3.1, 2.2)),
        series("RWP", (1.0, 2.0, 3.0, 4.0), (1.2, 2.1, 3.3, 4.1), (0.9, 2.2, 3.1, 4.2)),
    ]
    falls = [{"since": 0.5, "until": 0.5}, {"since": 1}]
    verdict = ordered(found, order=falls, methods="*")
    assert [cell.agrees for cell in verdict.cells] == ["yes", "no"]
    assert verdict.cells[0].effect == pytest.approx(np.mean([4.0 - 2.0, 4.1 - 2.1, 4.2 - 2.2]))
    assert "in 0.5 to 0.5" in verdict.cells[0].cell
    double = ordered(found, order=["SGD", {"method": "RWP", "times": 2}], over="last")
    assert double.cells[0].effect == pytest.approx(np.mean([2.0 - 8.0, 2.1 - 8.2, 2.2 - 8.4]))
    assert ordered(found, order=["RWP", "SGD"], over="when_highest").cells[0].effect == 2  # epoch 4 against 2
    assert ordered(found, order=["SGD", "RWP"], over="highest").cells[0].effect == pytest.approx(0)
    other = [
        each.replace(number="other", by_seed=tuple(tuple(v + 1 for v in s) for s in each.by_seed)) for each in found
    ]
    two = ordered([*found, *other], order=[{"number": "other"}, {}], methods="*")
    assert [cell.effect for cell in two.cells] == [pytest.approx(1), pytest.approx(1)]
    assert "the two have no epoch in common" in ordered(found, order=["SGD", "RWP"], since=0.6, until=0.7).reason


def test_at_equal_values_of_another_number() -> None:
    """Two methods that go through the same losses at other times are compared where their losses are equal: y = x + 1 and y = x."""
    losses = {"A": (4.0, 3.0, 2.0, 1.0), "B": (3.0, 2.5, 2.0, 0.5)}
    found = []
    for method, values in losses.items():
        seeds = [tuple(value + 0.01 * seed for value in values) for seed in range(3)]
        found.append(series(method, *seeds).replace(number="loss"))
        shift = {"A": 1.0, "B": 0.0}[method]
        raised = [tuple(value + shift + 0.001 * seed for value in each) for seed, each in enumerate(seeds)]
        found.append(series(method, *raised))
    verdict = ordered(found, order=["A", "B"], at_equal={"number": "loss"})
    assert verdict.cells[0].effect == pytest.approx(1.0)
    apart = [each if each.method == "A" else each.replace(by_seed=((9.0, 8.0, 8.0, 8.0),) * 3) for each in found]
    assert "have no equal loss in common" in ordered(apart, order=["A", "B"], at_equal={"number": "loss"}).reason


def test_an_order_of_no_method_is_refused() -> None:
    """What says no method needs methods to stand in for it."""
    with pytest.raises(ValueError, match="no method is said"):
        ProbeOrder.model_validate({"text": "x", "order": ["SGD", {"since": 0.5}]})


def test_a_sentence_about_every_epoch_has_a_cell_for_each() -> None:
    """What holds on average and not at the last epoch is supported as a mean, and contradicted where every epoch counts."""
    chance = np.random.default_rng(0)
    gaps = np.array([2.0, 2.0, 2.0, -1.0])
    low = chance.normal(5, 1, (5, 4))
    high = low + gaps + chance.normal(0, 0.01, (5, 4))
    found = [series("SGD", *map(tuple, high)), series("RWP", *map(tuple, low))]
    assert ordered(found, order=["SGD", "RWP"]).verdict == "supported"
    every = ordered(found, order=["SGD", "RWP"], at_every=True)
    assert (every.reading, every.verdict) == ("3 of 4", "contradicted")
    assert [cell.effect for cell in every.cells] == pytest.approx(list((high - low).mean(0)))
    assert ordered(found, order=["SGD", "RWP"], at_every=True, until=0.75).verdict == "supported"


def test_an_effect_needs_its_least_size() -> None:
    """A fall of 0.02 is none of a tenth; a fall of less than a point is no decline where a point is allowed."""
    found = [series("SAM", *((0.82 + 0.001 * seed, 0.80) for seed in range(5)))]
    falls = [{"until": 0.5}, {"since": 1}]
    assert ordered(found, order=falls, methods="SAM").verdict == "supported"
    assert ordered(found, order=falls, methods="SAM", at_least=0.1).verdict == "contradicted"
    assert ordered(found, order=falls[::-1], methods="SAM", at_least=-0.1).verdict == "supported"
    below = ordered(found, order=[{"value": 0.9}, {"since": 1}], methods="SAM")
    assert below.cells[0].effect == pytest.approx(0.1)
    table = {"R 0.1": (90.0, 80.0, 50.0), "S": (89.5, 79.5, 49.5)}
    pair = [{"a": {"method": "S"}, "b": {"method": "R 0.1"}, "under": {"noise": "clean"}}]
    assert check(Better, rows(table), pairs=pair, at_least=-2.0).verdict == "supported"
    assert check(Better, rows(table), pairs=pair).verdict == "contradicted"


def test_a_peak_lies_inside_the_list() -> None:
    """A height that rises and falls is supported; one that rises to the end is not."""

    def heights(*values: float) -> list[Series]:
        return [series(f"S{n}", *((v + 0.01 * seed * (n + 1), 0.0) for seed in range(5))) for n, v in enumerate(values)]

    claim = {"text": "x", "probe": "gradient", "number": "norm", "methods": ["S0", "S1", "S2"], "over": "highest"}
    inside = ProbePeak.model_validate(claim).verdict(Evidence(series=heights(1.0, 3.0, 2.0)))
    assert (inside.reading, inside.verdict) == ("2 of 2", "supported")
    edge = ProbePeak.model_validate(claim).verdict(Evidence(series=heights(1.0, 3.0, 4.0)))
    assert (edge.reading, edge.verdict) == ("1 of 2", "contradicted")


def test_a_training_under_two_labels_is_one_row() -> None:
    """Rows of the same cells count once in a group, and the tables' claims see the rows of the suites that they name."""
    once = [each.replace(cells=(f"{each.method}{each.noise}",)) for each in rows(GRID)]
    again = [each.replace(method="R 0.3 again") for each in once if each.method == "R 0.3"]
    METHODS_TOO = {**METHODS, "R 0.3 again": RWP(sigma=0.3)}
    claim = Better.model_validate(
        {"text": "x", "pairs": [{"a": {"method": "R *"}, "b": {"method": "S"}, "under": {"noise": "clean"}}]}
    )
    verdict = claim.verdict(Evidence([*once, *again], METHODS_TOO, NOISE))
    assert verdict.of == 4  # as cells of labels; the group below has each training once
    best = {"a": {"best_of": "R *"}, "b": {"method": "S"}, "under": {"noise": "G 0.2"}}
    group = Better.model_validate({"text": "x", "pairs": [best]}).verdict(Evidence([*once, *again], METHODS_TOO, NOISE))
    alone = Better.model_validate({"text": "x", "pairs": [best]}).verdict(Evidence(once, METHODS, NOISE))
    assert group == alone


def test_a_number_that_a_probe_does_not_measure_is_located(
    write_suite: Callable[..., Path], registry: Registry
) -> None:
    """A claim that asks for another number, or for a probe that is not there, is an error at its place."""
    text = (
        TINY + "probes: {steps: {name: update_gradient}}\n"
        "claims:\n  A: {name: probe_order, text: x, probe: steps, number: length, order: [SGD, RWP]}\n"
        "  B: {name: probe_order, text: x, probe: step, number: norm, order: [SGD, RWP]}\n"
    )
    with pytest.raises(SuiteError) as caught:
        load_suite(write_suite(text), registry)
    found = {problem.path: str(problem) for problem in caught.value.problems}
    assert "'steps' does not measure 'length'" in found["claims.A.number"]
    assert "did you mean 'steps'" in found["claims.B.number"]
