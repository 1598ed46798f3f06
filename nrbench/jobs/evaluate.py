"""Evaluating: a network in, and what cells count or probes measure out; what one of them raises is its own failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import TypeVar

from nrbench.base.chance import Chips, EvaluationChance
from nrbench.base.torch_state import generator_states, put_back_generators, unchanged
from nrbench.families.dataset import Images
from nrbench.families.executor import Failure, attempt
from nrbench.families.network import Network, norm
from nrbench.families.noise import NoiseModel
from nrbench.families.probe import Probe, Scoring
from nrbench.families.row import BatchNorm
from nrbench.jobs.data import Data
from nrbench.jobs.results import LARGEST
from nrbench.suite.cell import Cell

Member = TypeVar("Member")
Key = TypeVar("Key")


@dataclass(slots=True)
class Counts:
    """What was counted for a cell."""

    clean: int
    """Right answers without noise."""
    weight_norm: float | None = None
    correct: list[int] = field(default_factory=list)
    """Right answers of each draw."""
    displacement_norms: list[float] = field(default_factory=list)
    """‖δ‖ of each draw."""


def measure(
    probes: Iterable[Probe], network: Network, data: Data, chips: Chips
) -> dict[str, dict[str, float] | Failure]:
    """Return what each probe measures of a network, or why it could not, by its fingerprint."""
    results: dict[str, dict[str, float] | Failure] = {}
    for members in _grouped(probes, by=type).values():
        found = attempt(partial(_measured, network=network, data=data, chips=chips), members)
        if isinstance(found, Failure):  # one by one, to find whose fault it is
            alone = partial(_measured, network=network, data=data, chips=chips)
            each = [attempt(alone, [probe]) for probe in members]
            found = [one if isinstance(one, Failure) else one[0] for one in each]  # type: ignore[misc]
        results |= {probe.fingerprint: one for probe, one in zip(members, found, strict=True)}
    return results


def unmeasured(found: object) -> str:
    """Return why something is not what a probe may measure: finite numbers by name; nothing where it is."""
    if isinstance(found, Failure):
        return found.message
    if not isinstance(found, dict) or not found:
        return f"it measured {found!r:.200}, and not numbers by name"
    for name, value in found.items():
        if not isinstance(name, str) or not name.isprintable():
            return f"it measured something called {name!r:.200}"
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == inf:
            return f"its {name} is {value!r:.200}, and no finite number"
        if abs(value) > LARGEST:
            return f"its {name} is beyond {LARGEST:g}"
    return ""


def _measured(probes: Sequence[Probe], *, network: Network, data: Data, chips: Chips) -> Sequence[dict[str, float]]:
    """Return what probes of one class measure; those that are not the core's own are lent copies, which they may ruin."""
    kind, splits = type(probes[0]), data.splits
    if kind is not Scoring:
        lent = {"model": network.model, "prepare": network.prepare, "start": network.start, "before": network.before}
        network = replace(network, _weights=None, **deepcopy(lent))  # type: ignore[arg-type]
        splits = {name: Images(part.images.clone(), part.labels.clone()) for name, part in splits.items()}
    with unchanged(probes[0].name):
        found = kind.measured_together(probes, network, splits, chips)
    if len(found) != len(probes):
        raise ValueError(f"{probes[0].name} gave {len(found)} answers for {len(probes)} probes")
    return found


def evaluate(cells: Sequence[Cell], network: Network, data: Data, chips: Chips) -> dict[Cell, Counts | Failure]:
    """Return what is counted for cells on one network: a draw at a time, so that all noise models share its numbers."""
    states = generator_states()
    found = _evaluated(cells, network, data, chips, watch=False)
    if generator_states() == states:
        return found
    put_back_generators(states)  # somebody moved a global generator: once more, to find who
    found = _evaluated(cells, network, data, chips, watch=True)
    if generator_states() == states:
        return found
    put_back_generators(states)
    failure = Failure("error", "the network draws random numbers when it is evaluated, or a plugin's data does")
    return dict.fromkeys(cells, failure)


def _evaluated(
    cells: Sequence[Cell], network: Network, data: Data, chips: Chips, *, watch: bool
) -> dict[Cell, Counts | Failure]:
    test = data.splits["test"]
    modes = dict.fromkeys(cell.batch_norm for cell in cells)
    clean = {mode: _treated(network, mode, data).counts(test) for mode in modes}
    weight_norm = norm(network.weights().values())
    found: dict[Cell, Counts | Failure] = {cell: Counts(clean[cell.batch_norm], weight_norm) for cell in cells}
    alike = _grouped(cells, by=lambda cell: (cell.noise, cell.batch_norm))
    for draw in range(max((cell.draws for cell in cells), default=0)):
        chip = chips.chip("report", draw)
        for (noise, mode), members in alike.items():
            left = [cell for cell in members if draw < cell.draws and isinstance(found[cell], Counts)]
            if not left:
                continue
            work = partial(_judged, network=network, chip=chip, mode=mode, data=data, clean=clean[mode], watch=watch)
            judged = attempt(work, noise)
            if isinstance(judged, Failure):
                found |= dict.fromkeys(left, judged)
                continue
            for cell in left:
                counts = found[cell]
                assert isinstance(counts, Counts)
                counts.correct.append(judged[0])
                counts.displacement_norms.append(judged[1])
    return found


def _judged(
    noise: NoiseModel,
    *,
    network: Network,
    chip: EvaluationChance,
    mode: BatchNorm,
    data: Data,
    clean: int,
    watch: bool,
) -> tuple[int, float]:
    """Return how many test images are right on a chip, and ‖δ‖."""
    displaced = network.under(noise, chip, watch=watch)
    right = _treated(displaced, mode, data).counts(data.splits["test"]) if displaced.displaced else clean
    return right, displaced.displacement_norm or 0.0


def _treated(network: Network, mode: BatchNorm, data: Data) -> Network:
    return network if mode == "frozen" else network.recalibrated(data.calibration)


def _grouped(items: Iterable[Member], *, by: Callable[[Member], Key]) -> dict[Key, list[Member]]:
    groups: dict[Key, list[Member]] = {}
    for item in items:
        groups.setdefault(by(item), []).append(item)
    return groups
