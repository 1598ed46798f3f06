"""What the figures of a suite have in common: quantities that were measured, titles, and the labels that they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, Literal

from nrbench.base.component import Frozen
from nrbench.families.claim import Evidence, Series
from nrbench.families.row import Patterns, matches
from nrbench.families.section import Asked, Section
from nrbench.families.sheet import Figure
from nrbench.report.drawing import drawn


class Quantity(Frozen):
    """A number that was measured after epochs: a probe's, or the training loss where no probe is named."""

    probe: str = ""
    """The label of the probe in the suite."""
    number: str = "loss"
    """What the probe calls it."""
    of: Literal["value", "sum"] = "value"
    """Whether it is added up over the epochs, such as a distance travelled."""
    label: str = ""
    """What stands at the axis, with its unit; by default the names of probe and number."""

    @property
    def text(self) -> str:
        """What stands at the axis."""
        return self.label or (f"{self.probe}: {self.number}" if self.probe else "training loss")

    def measured(self, evidence: Evidence) -> list[Series]:
        """Return what was measured of it, of every method and network."""
        return [each for each in evidence.series if (each.probe, each.number) == (self.probe, self.number)]

    def values(self, series: Series) -> dict[int, list[float]]:
        """Return the values of all seeds by epoch."""
        seeds = [list(accumulate(seed)) if self.of == "sum" else list(seed) for seed in series.by_seed]
        return dict(zip(series.epochs, map(list, zip(*seeds, strict=True)), strict=True))


class Plot(Section):
    """What figures have in common: a title, a sentence, and the methods that are in it."""

    seen: str = ""
    """What is to be seen in it: its text alternative and caption."""
    methods: Patterns = ("*",)
    """Labels of methods, or patterns for them; their order is the suite's."""

    def asked(self) -> Iterator[Asked]:
        yield from (Asked("methods", pattern, "methods") for pattern in self.methods)
        for field in type(self).model_fields:
            value = getattr(self, field)
            if isinstance(value, Quantity) and value.probe:
                yield Asked("probes", value.probe, f"{field}.probe")

    def shown(self, evidence: Evidence) -> list[str]:
        """Return the methods that are in it."""
        return [label for label in evidence.methods if matches(self.methods, label)]

    def figure(
        self,
        where: str,
        draw: partial[None],
        data: Sequence[Sequence[Any]],
        missing: Sequence[str] = (),
        **how: Any,
    ) -> Figure:
        lost = f" Without a number, and so not in it: {', '.join(missing)}." if missing else ""
        return drawn(where, f"{self.seen or where}{lost}", draw, data=data, **how)


def networks_of(series: Iterable[Series]) -> list[tuple[str, str]]:
    """Return the backbones and data sets that something was measured on."""
    return list(dict.fromkeys((each.backbone, each.dataset) for each in series))
