"""Checks of sections."""

from __future__ import annotations

from nrbench.families.claim import Evidence
from nrbench.families.row import Difference, Row
from nrbench.families.section import Section
from nrbench.families.sheet import Figure, Sheet


def sample_rows() -> list[Row]:
    """Return rows of three methods under two noise models, of which one failed and one has no result yet."""
    rows = [
        Row(
            method=method, noise=noise, backbone="network", dataset="images", selection="last", accuracy=80.0 + number,
            noise_std=1.0, weight_std=0.5, interval=(79.0, 81.0), seeds=3, draws=4, by_seed=(79.0, 80.0, 81.0),
            difference=None if method == "A" else Difference(to="A", mean=1.0, interval=(0.5, 1.5)), leading=True,
            clean_accuracy_there=85.0, minimum=70.0, quantile_5=75.0, yield_1=0.5, passes_per_step=1.0,
        )
        for number, (method, noise) in enumerate((m, n) for m in "AB" for n in ("weak", "strong"))
    ]  # fmt: skip
    broken = Row(method="C", noise="weak", backbone="network", dataset="images", status="error", reason="it broke")
    return [*rows, broken, broken.replace(noise="strong", status="incomplete", reason=None)]


def check_section_is_whole(section: Section) -> None:
    """Of rows with and without results it makes titled parts: a sheet has an entry for every head, a figure its sentence."""
    for part in section.parts(Evidence(sample_rows())):
        assert part.title.strip(), "a part has no title"
        if isinstance(part, Sheet):
            wrong = [line.label for line in part.lines if len(line.entries) != len(part.heads)]
            assert not wrong, f"lines with more or fewer entries than there are heads: {wrong}"
        else:
            assert isinstance(part, Figure), f"a part is a {type(part).__name__}"
            assert part.seen.strip(), f"{part.title} does not say what is seen"
            assert b"<svg" in part.svg, f"{part.title} is no SVG"


def check_section_of_nothing(section: Section) -> None:
    """Without a single row it raises nothing, and shows no number."""
    for part in section.parts(Evidence()):
        assert not isinstance(part, Sheet) or not part.lines, f"{part.title} has lines of no rows"


def check_section_is_deterministic(section: Section) -> None:
    """Of the same rows it makes the same parts, byte for byte."""
    first, second = (list(section.parts(Evidence(sample_rows()))) for _ in range(2))
    assert first == second, "the same rows gave other parts"


CHECKS = (check_section_is_whole, check_section_of_nothing, check_section_is_deterministic)
