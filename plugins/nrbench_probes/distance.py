"""How far the weights have gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from nrbench import Chips, NamedSplits, Network, Probe, Weights
from nrbench_probes.trajectory import norm


class Distance(Probe):
    """‖w_t − w_(t−1)‖ for t the epoch, and ‖w_t − w_0‖ from where the training began.

    The sum of the first over the epochs is the distance travelled. It is left out of an epoch whose predecessor is not
    stored.
    """

    name: Literal["distance"] = "distance"
    numbers: ClassVar[tuple[str, ...]] = ("from_start", "in_this_epoch")
    paper: ClassVar[str] = "Incorruptible Neural Networks (ICLR 2026 submission), appendix B.4, figure 8b"

    def passes(self, images: Mapping[str, int]) -> float:
        return 0.0

    def measured(self, network: Network, data: NamedSplits, chips: Chips) -> dict[str, float]:
        weights = network.weights()
        if network.start is None:
            raise ValueError("it is not known where this training began")
        found = {"from_start": _between(weights, network.start)}
        return found if network.before is None else {**found, "in_this_epoch": _between(weights, network.before)}


def _between(weights: Weights, others: Weights) -> float:
    both = [(weight, others[name].to(weight.device)) for name, weight in weights.items() if name in others]
    return float(norm({str(number): first.double() - second.double() for number, (first, second) in enumerate(both)}))
