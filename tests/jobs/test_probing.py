"""Probes of a suite: they change nothing else, and what is asked for later is what would have been measured at once."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor

import nrbench as package
from nrbench import (
    Chips,
    NamedSplits,
    Network,
    ObservedStep,
    Observer,
    Options,
    Probe,
    Processes,
    Registry,
    Store,
    Suite,
    load_registry,
    load_suite,
)
from nrbench.board.series import series_of
from nrbench.families.dataset import load_splits
from nrbench.jobs.data import Data
from nrbench.jobs.plan import plan
from nrbench.jobs.train import train
from nrbench_datasets import Synthetic
from nrbench_probes import GradientCosine, UpdateGradient
from tests.conftest import TINY, Finished

Command = Callable[..., Finished]
Write = Callable[..., Path]
PROBES = """\
probes:
  sharpness: {name: average_sharpness, noise: {name: gaussian, sigma: 0.1}, images: 40, draws: 2}
  ascent: {name: ascent_sharpness, rho: 0.1, images: 40, every: 2}
  accuracy: {name: performance, on: test, noise: {name: gaussian, sigma: 0.2}, draws: 2}
  size: {name: weight_size}
  distance: {name: distance}
  gradient: {name: update_gradient}
  cosine: {name: gradient_cosine, every: 2}
"""
LATER = PROBES.partition("  gradient:")[0]
"""Those that can be measured of stored weights."""
ALL = (
    PROBES
    + """\
  flat: {name: flatness, noise: {name: gaussian, sigma: 0.1}, images: 20, angles: 4, on: test}
  plane: {name: loss_landscape, points: 3, images: 20, on: test}
  curvature: {name: curvature, images: 20, draws: 1}
  trace: {name: hessian_trace, images: 20, draws: 1}
  eigenvalue: {name: hessian_eigenvalue, images: 20, steps: 2}
  reach: {name: critical_length, level: 3.0, images: 20, strides: 3, halvings: 2}
  adaptive: {name: adaptive_sharpness, rho: 0.5, images: 20}
  yield: {name: chip_yield, noise: {name: gaussian, sigma: 0.1}, draws: 2}
  statistics: {name: batch_norm_shift, noise: {name: gaussian, sigma: 0.1}, draws: 1, calibration: 20}
  gradients: {name: gradient_norm, images: 20}
  strength: {name: displacement}
"""
)
"""Every probe that comes with nrbench."""


class Broken(Probe):
    """Raises, or measures what is no number."""

    name: Literal["broken"] = "broken"

    how: Literal["raises", "nan", "text", "nothing", "writes"]
    """What is wrong with it."""

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        if self.how == "raises":
            raise RuntimeError("it is broken")
        if self.how == "writes":
            for weight in network.weights().values():
                weight.zero_()
            return {"done": 1.0}
        found: Any = {"nan": {"x": float("nan")}, "text": {"x": "1"}, "nothing": {}}
        return found[self.how]  # type: ignore[no-any-return]


class Plugin:
    """A stranger's plugin."""

    @staticmethod
    @package.hookimpl
    def nrbench_components() -> list[type[package.Component]]:
        return [Broken]


def suite_of(path: Path, registry: Registry | None = None) -> Suite:
    suite = load_suite(path, registry or load_registry())
    assert isinstance(suite, Suite)
    return suite


def records(suite: Suite, out: Path) -> dict[str, Any]:
    """What is stored of each training, but for the time it took."""
    store = Store(out / "store")
    found = {}
    for labels, training in suite.own_trainings.items():
        record = store.training(training.key).record().model_dump()
        for epoch in record["epochs"]:
            epoch["seconds"] = 0
        found[str(labels)] = record
    return found


@pytest.fixture
def probed(write_suite: Write) -> Suite:
    return suite_of(write_suite(TINY + PROBES, "probed.yaml"))


def test_probes_change_no_weight_and_no_result(probed: Suite, tiny: Suite, tmp_path: Path) -> None:
    """With probes every epoch's weights have the same bytes, every cell the same counts, and every key is the same."""
    package.run(probed, options=Options(out=tmp_path / "with"))
    package.run(tiny, options=Options(out=tmp_path / "without"))
    ours, theirs = records(probed, tmp_path / "with"), records(tiny, tmp_path / "without")
    assert {name: each["kept"] for name, each in ours.items()} == {name: each["kept"] for name, each in theirs.items()}
    boards = [json.loads(package.load(tmp_path / each / "tiny").json_bytes()) for each in ("with", "without")]
    assert boards[0] == boards[1]
    assert Store(tmp_path / "with" / "store").judged() == Store(tmp_path / "without" / "store").judged()


def test_asked_for_later_is_as_at_once(write_suite: Write, tiny: Suite, tmp_path: Path) -> None:
    """On stored weights, without an epoch of training, the same numbers to the last bit; a third run measures nothing."""
    later = (
        ALL.replace("  gradient: {name: update_gradient}\n", "")
        .replace("  strength: {name: displacement}\n", "")
        .replace("  cosine: {name: gradient_cosine, every: 2}\n", "")
    )
    probed = suite_of(write_suite(TINY + later, "later.yaml"))
    package.run(probed, options=Options(out=tmp_path / "at once"))
    package.run(tiny, options=Options(out=tmp_path / "later"))
    events: list[package.base.log.Event] = []  # type: ignore[name-defined]
    package.run(probed, options=Options(out=tmp_path / "later"), watch=events.append)
    assert {event.kind for event in events} == {"started", "finished"}
    assert records(probed, tmp_path / "later") == records(probed, tmp_path / "at once")
    events.clear()
    package.run(probed, options=Options(out=tmp_path / "later"), watch=events.append)
    assert events == []


def test_in_other_processes_it_is_the_same(probed: Suite, tmp_path: Path) -> None:
    """Two workers and this process measure the same numbers."""
    package.run(probed, options=Options(out=tmp_path / "here"))
    package.run(probed, options=Options(out=tmp_path / "there", executor=Processes(jobs=2)))
    assert records(probed, tmp_path / "here") == records(probed, tmp_path / "there")


def test_every_second_epoch_and_the_last(probed: Suite, tmp_path: Path) -> None:
    """`every: 2` of three epochs measures the second and the third; another `every` is the same probe."""
    package.run(probed, options=Options(out=tmp_path))
    ascent = probed.probes["ascent"]
    for each in records(probed, tmp_path).values():
        assert [ascent.fingerprint in epoch["measured"] for epoch in each["epochs"]] == [False, True, True]
    assert ascent.replace(every=1).fingerprint == ascent.fingerprint


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raises", "it is broken"),
        ("nan", "its x is nan, and no finite number"),
        ("text", "its x is '1', and no finite number"),
        ("nothing", "not numbers by name"),
    ],
)
def test_a_probe_that_fails_costs_nothing_else(
    write_suite: Write, tiny: Suite, tmp_path: Path, how: str, reason: str
) -> None:
    """Its record says why at each epoch; the training, the cells and the other probes go on, and it is not tried again."""
    registry = load_registry(extra=[Plugin])
    broken = suite_of(write_suite(f"{TINY}{PROBES}  broken: {{name: broken, how: {how}}}\n", "broken.yaml"), registry)
    board = package.run(broken, options=Options(out=tmp_path / "broken"))
    assert {row.status for row in board.rows} == {"ok"}
    key = broken.probes["broken"].fingerprint
    for each in records(broken, tmp_path / "broken").values():
        assert all(reason in epoch["failed"][key] for epoch in each["epochs"])
        assert all(broken.probes["size"].fingerprint in epoch["measured"] for epoch in each["epochs"])
    package.run(tiny, options=Options(out=tmp_path / "plain"))
    assert board.json_bytes() == package.load(tmp_path / "plain" / "tiny").json_bytes()
    store = Store(tmp_path / "broken" / "store")
    assert plan(broken.cells(), store, probes=broken.probes_of()).jobs == ()
    lines = list(csv.DictReader(io.StringIO((tmp_path / "broken" / "tiny" / "probes.csv").read_text())))
    assert {line["value"] for line in lines if line["probe"] == "broken"} == {""}
    assert all(reason in line["reason"] for line in lines if line["probe"] == "broken")


def test_a_probe_that_writes_to_the_weights_writes_to_a_copy(write_suite: Write, tiny: Suite, tmp_path: Path) -> None:
    """What a careless probe does to the network it is lent reaches no training and no other probe."""
    registry = load_registry(extra=[Plugin])
    text = f"{TINY}{PROBES}  careless: {{name: broken, how: writes}}\n"
    board = package.run(
        suite_of(write_suite(text, "careless.yaml"), registry), options=Options(out=tmp_path / "careless")
    )
    assert board.json_bytes() == package.run(tiny, options=Options(out=tmp_path / "plain")).json_bytes()


def test_what_was_measured_is_shown(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """probes.csv has a line for each number of each epoch, and the page a picture for each probe with every method."""
    path = write_suite(TINY + PROBES)
    assert nrbench("run", path, "-o", tmp_path).code == 0
    folder = tmp_path / "tiny"
    lines = list(csv.DictReader(io.StringIO((folder / "probes.csv").read_text())))
    assert len(lines) == 4 * (3 * 2 + 2 * 2 + 3 * 2 + 3 * 3 + 3 * 2 + 3 * 1 + 2 * 5)
    page = (folder / "leaderboard.html").read_text()
    for label in ("sharpness", "ascent", "accuracy", "size"):
        assert f"{label}: MLP on synthetic" in page
    suite = suite_of(path)
    epoch = Store(tmp_path / "store").training(next(iter(suite.own_trainings.values())).key).record().epochs[1]
    (line,) = [
        each
        for each in lines
        if (each["probe"], each["number"], each["method"], each["seed"], each["epoch"])
        == ("sharpness", "sharpness", "SGD", "0", "2")
    ]
    assert float(line["value"]) == epoch.measured[suite.probes["sharpness"].fingerprint]["sharpness"]
    written = (folder / "probes.csv").read_bytes()
    assert nrbench("report", path, "-o", tmp_path).code == 0
    assert (folder / "probes.csv").read_bytes() == written


def test_steps_are_seen_while_they_are_made(write_suite: Write, probed: Suite, tiny: Suite, tmp_path: Path) -> None:
    """SGD's cosine is 1 and RWP's is not; after the training an observer has nothing but the reason, until it is made again."""
    package.run(probed, options=Options(out=tmp_path / "at once"))
    gradient, cosine = probed.probes["gradient"].fingerprint, probed.probes["cosine"].fingerprint
    for name, each in records(probed, tmp_path / "at once").items():
        assert all(epoch["measured"][gradient]["norm"] > 0 for epoch in each["epochs"])
        assert [cosine in epoch["measured"] for epoch in each["epochs"]] == [False, True, True]
        found = each["epochs"][-1]["measured"][cosine]["cosine"]
        assert found == pytest.approx(1, abs=1e-6) if name.startswith("SGD") else 0 < found < 0.9999
    package.run(tiny, options=Options(out=tmp_path / "later"))
    package.run(probed, options=Options(out=tmp_path / "later"))
    for each in records(probed, tmp_path / "later").values():
        assert all("--force makes it again" in epoch["failed"][gradient] for epoch in each["epochs"])
    package.run(probed, options=Options(out=tmp_path / "later", force=True))
    assert records(probed, tmp_path / "later") == records(probed, tmp_path / "at once")


class Norms(Observer):
    """Notes the gradient's norm of every step that it sees."""

    name: Literal["norms"] = "norms"
    seen: ClassVar[list[float]] = []

    def observed(self, step: ObservedStep) -> dict[str, Tensor]:
        found = UpdateGradient().observed(step)
        self.seen.append(float(found["norm"]))
        return found


def test_one_step_of_three_is_seen(tiny: Suite, tmp_path: Path) -> None:
    """Of the four steps of an epoch the first and the fourth are seen and averaged, in every epoch alike; the cost is a third."""
    training = next(iter(tiny.own_trainings.values()))
    data, third = Data.of(training, tmp_path, torch.device("cpu")), UpdateGradient(steps=3)
    Norms.seen.clear()
    for trained in train(training, data, observers=[Norms(), third]):
        first, _, _, last = Norms.seen[-4:]
        assert trained.observed[third.fingerprint] == {"norm": pytest.approx((first + last) / 2)}
    assert GradientCosine(steps=3).passes({"train": 90}) == 30
    assert UpdateGradient(steps=1).fingerprint == UpdateGradient().fingerprint != third.fingerprint


@pytest.mark.parametrize(
    "method",
    [
        "{name: sgd}",
        "{name: sam, rho: 0.05}",
        "{name: rwp, sigma: 0.1}",
        "{name: ramped, schedule: {name: linear}, method: {name: rwp, sigma: 0.1}}",
    ],
)
def test_no_probe_changes_a_training(write_suite: Write, tmp_path: Path, method: str) -> None:
    """With BatchNorm and dropout in the network, and any method, every epoch's weights have the same bytes as without."""
    text = TINY.partition("methods:")[0].replace(
        "MLP: {name: mlp, hidden: [16]}", "WRN: {name: wide_resnet, depth: 10, width: 1, base: 4, dropout: 0.2}"
    )
    text += f"methods:\n  mine: {method}\nnoise:\n  clean: {{name: none}}\n"
    plain, seen = suite_of(write_suite(text)), suite_of(write_suite(text + ALL, "seen.yaml"))
    package.run(plain, options=Options(out=tmp_path / "plain"))
    package.run(seen, options=Options(out=tmp_path / "seen"))
    ours, theirs = records(seen, tmp_path / "seen"), records(plain, tmp_path / "plain")
    assert {name: each["kept"] for name, each in ours.items()} == {name: each["kept"] for name, each in theirs.items()}


def test_strength_over_time(write_suite: Write, tmp_path: Path) -> None:
    """A linear ramp of SAM has ‖ε‖ = ρ·t/T in step t of T, averaged over the epoch; a method without a strength has no number."""
    methods = "methods:\n  SGD: {name: sgd}\n  SAM: {name: sam, rho: 0.5}\n"
    methods += "  Ramp: {name: ramped, schedule: {name: linear, until: 1.0}, method: {name: sam, rho: 0.5}}\n"
    text = (
        TINY.partition("methods:")[0]
        + methods
        + "noise:\n  clean: {name: none}\nprobes:\n  strength: {name: displacement}\n"
    )
    suite = suite_of(write_suite(text))
    package.run(suite, options=Options(out=tmp_path))
    (probe,) = suite.probes.values()
    found = records(suite, tmp_path)
    steps = 4  # of 32 of 116 images
    for seed in range(2):
        ramp, sam, sgd = (found[f"{each}, MLP, synthetic, seed {seed}"]["epochs"] for each in ("Ramp", "SAM", "SGD"))
        for number in range(3):
            at = [number * steps + step for step in range(steps)]
            expected = 0.5 * sum(at) / len(at) / (3 * steps)
            assert ramp[number]["measured"][probe.fingerprint]["norm"] == pytest.approx(expected, rel=1e-5)
            assert sam[number]["measured"][probe.fingerprint]["norm"] == pytest.approx(0.5, rel=1e-5)
            assert probe.fingerprint not in sgd[number]["measured"]


def test_what_is_seen_of_test_images_feeds_no_choice(
    write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the labels of the test images turned round every weight and every chosen epoch is the same; what is measured is not."""
    suite = suite_of(write_suite(TINY + ALL))
    boards = [package.run(suite, options=Options(out=tmp_path / "right"))]
    load = Synthetic.load

    def turned(dataset: Synthetic, root: Path) -> package.Splits:
        splits = load(dataset, root)
        return replace(splits, test=package.Images(splits.test.images, splits.test.labels.flip(0)))

    monkeypatch.setattr(Synthetic, "load", turned)
    load_splits.cache_clear()
    boards.append(package.run(suite, options=Options(out=tmp_path / "turned")))
    ours, theirs = (records(suite, tmp_path / each) for each in ("right", "turned"))
    assert {name: each["kept"] for name, each in ours.items()} == {name: each["kept"] for name, each in theirs.items()}
    assert [row.selected_epochs for row in boards[0].rows] == [row.selected_epochs for row in boards[1].rows]
    assert [row.accuracy for row in boards[0].rows] != [row.accuracy for row in boards[1].rows]
    assert ours != theirs
    load_splits.cache_clear()


def test_a_training_that_was_killed_observes_the_same(probed: Suite, tmp_path: Path) -> None:
    """Resumed from its last epoch, a training has the records of one that was never stopped."""
    package.run(probed, options=Options(out=tmp_path / "whole"))
    package.run(probed, options=Options(out=tmp_path / "cut"))
    store = Store(tmp_path / "cut" / "store")
    for training in probed.own_trainings.values():
        stored = store.training(training.key)
        record = stored.record()
        stored.write(record.replace(epochs=record.epochs[:1], kept={1: record.kept[1]}), spec={})
    for key in store.judged():
        store.discard(key)
    package.run(probed, options=Options(out=tmp_path / "cut"))
    assert records(probed, tmp_path / "cut") == records(probed, tmp_path / "whole")


def test_a_plan_adds_up_what_probes_cost(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """In epochs of passes: each due measurement of each training, by what the probe says it costs for these images."""
    found = json.loads(nrbench("plan", write_suite(TINY + PROBES), "-o", tmp_path, "--json").out)
    train = 116  # of 128 images 12 are held out
    per_epoch = 3 * 40 / 3 + 2 * 64 / 3  # sharpness: three passes over 40; accuracy: two copies over 64
    ascent = 2 * 5 * 40 / 3  # in the second and the last epoch
    assert found["probe_passes"] == pytest.approx(4 * ((3 * per_epoch + ascent) / train + 2))  # the cosine: two epochs
    assert found["passes"] == 12
    assert "as much again for probes" in nrbench("plan", write_suite(TINY + PROBES), "-o", tmp_path).out
    assert json.loads(nrbench("plan", write_suite(), "-o", tmp_path, "--json").out)["probe_passes"] == 0


def test_without_the_images_a_plan_says_what_it_knows(
    nrbench: Command, write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody knows how many images there are, probes cost nothing if there are none, and something unknown else."""
    monkeypatch.setattr(import_module("nrbench.report.forecast"), "_sizes", lambda *which: None)
    plain = json.loads(nrbench("plan", write_suite(), "-o", tmp_path, "--json").out)
    assert (plain["probe_passes"], plain["trainings"], plain["passes"], plain["seconds"]) == (0, 4, 12, None)
    assert json.loads(nrbench("plan", write_suite(TINY + PROBES), "-o", tmp_path, "--json").out)["probe_passes"] is None


def test_a_plan_of_probes_alone_has_its_time(nrbench: Command, write_suite: Write, tmp_path: Path) -> None:
    """Of a finished suite that asks for one more probe nothing is trained; its passes take the time that training's took."""
    path = write_suite()
    assert nrbench("run", path, "-o", tmp_path, "-q").code == 0
    more = "probes.accuracy={name: performance, on: test, images: 58}"
    found = json.loads(nrbench("plan", path, "-o", tmp_path, "--json", "--set", more).out)
    assert (found["trainings"], found["cells"], found["passes"], found["disk_bytes"]) == (0, 0, 0, 0)
    assert found["probe_passes"] == pytest.approx(4 * 3 * 58 / 3 / 116)  # of 4 trainings 3 epochs, 58 images forward
    costs = json.loads((tmp_path / "tiny" / "cost.json").read_text())["rows"]
    pace = sum(cost["seconds"] for cost in costs) / (len(costs) * 3)  # of a pass over the training images
    assert found["seconds"] == pytest.approx(found["probe_passes"] * pace)
    again = json.loads(nrbench("plan", path, "-o", tmp_path, "--json", "--force").out)
    assert (again["trainings"], again["passes"]) == (4, 12)


@pytest.mark.parametrize(
    ("probe", "place", "message"),
    [
        ("{name: weight_size, every: 4}", "17:36", "it would be measured every 4 of 3 epochs"),
        ("{name: weight_size, every: 0}", "17:36", "greater than or equal to 1"),
        ("{name: weight_sise}", "17:16", "did you mean 'weight_size'"),
        ("{name: ascent_sharpness}", "17:9", "rho: it is required"),
    ],
)
def test_probes_that_cannot_be(nrbench: Command, write_suite: Write, probe: str, place: str, message: str) -> None:
    """Each mistake is at its place, and nothing is run."""
    done = nrbench("validate", write_suite(f"{TINY}probes:\n  mine: {probe}\n"), "--no-build")
    assert done.code == 2
    assert message in done.err
    assert f"suite.yaml:{place}" in done.err


def test_the_leaderboard_of_a_suite_from_before_probes_is_not_another(
    nrbench: Command, write_suite: Write, tmp_path: Path
) -> None:
    """A lock without the fields that came later, and say nothing, is the same suite's; one that differs is kept aside."""
    assert nrbench("run", write_suite(), "-o", tmp_path).code == 0
    lock = tmp_path / "tiny" / "suite.lock.json"
    document = json.loads(lock.read_text())
    del document["probes"]
    del document["report"]["resolve"]
    lock.write_text(json.dumps(document))
    done = nrbench("run", write_suite(), "-o", tmp_path)
    assert "differs from this one" not in done.err
    document["draws"] = 4
    lock.write_text(json.dumps(document))
    assert "differs from this one" in nrbench("run", write_suite(), "-o", tmp_path).err


def test_a_claim_about_what_was_measured(write_suite: Write, tmp_path: Path) -> None:
    """Its evidence are the records: the distance that SGD travelled over RWP's, seed by seed, as it is stored."""
    claim = """\
claims:
  far:
    name: probe_order
    text: SGD goes further than RWP.
    probe: distance
    number: in_this_epoch
    over: sum
    order: [SGD, RWP]
"""
    suite = suite_of(write_suite(TINY + PROBES + claim))
    board = package.run(suite, options=Options(out=tmp_path))
    travelled: dict[str, list[float]] = {}
    key = suite.probes["distance"].fingerprint
    for labels, training in suite.own_trainings.items():
        epochs = Store(tmp_path / "store").training(training.key).record().epochs
        travelled.setdefault(labels.method, []).append(sum(e.measured[key]["in_this_epoch"] for e in epochs))
    expected = sum(a - b for a, b in zip(travelled["SGD"], travelled["RWP"], strict=True)) / 2
    assert {row.selection for row in board.claims} == {"chosen", "last"}
    for row in board.claims:
        assert row.measured.effect == pytest.approx(expected)
        assert row.measured.of == 1


def test_parts_of_a_training_are_parts_of_its_own(write_suite: Write, tmp_path: Path) -> None:
    """With a budget of passes the last quarter of SAM's two epochs is its second, as SGD's is its fourth."""
    text = TINY.replace("  RWP: {name: rwp, sigma: 0.1}\n", "  SAM: {name: sam}\n").replace(
        "epochs: 3", "epochs: 4, budget: passes"
    )
    suite = suite_of(write_suite(text))
    package.run(suite, options=Options(out=tmp_path))
    totals = {each.method: (each.total, each.epochs) for each in series_of(suite, Store(tmp_path / "store"))}
    assert totals == {"SGD": (4, (1, 2, 3, 4)), "SAM": (2, (1, 2))}


def test_weights_that_are_gone_are_not_trained_for_a_probe(probed: Suite, tiny: Suite, tmp_path: Path) -> None:
    """Where an epoch's weights are not stored a probe asked for later has no number for it, and nothing is trained."""
    package.run(tiny, options=Options(out=tmp_path))
    for path in (tmp_path / "store").glob("trainings/*/epochs/1.safetensors"):
        path.unlink()
    events: list[Any] = []
    package.run(probed, options=Options(out=tmp_path), watch=events.append)
    assert "epoch" not in {event.kind for event in events}
    key = probed.probes["size"].fingerprint
    for each in records(probed, tmp_path).values():
        assert [key in epoch["measured"] for epoch in each["epochs"]] == [False, True, True]
        assert each["epochs"][0]["failed"][key] == "the weights of this epoch are lost"
