"""The worked device tables are what their sources say."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import pytest

from nrbench.suite.shipped import shipped_suites

FOLDER = shipped_suites()["devices"].parent / "devices"


def rows(name: str) -> dict[float, tuple[float, float]]:
    lines = [line for line in (FOLDER / name).read_text().splitlines() if not line.startswith("#")]
    return {float(r["magnitude"]): (float(r["mean"]), float(r["std"])) for r in csv.DictReader(lines)}


def test_phase_change_memory_at_weight_level() -> None:
    """A differential pair programmed as in Nandakumar et al. 2019 has these known moments at weights 0, ½ and 1."""
    table = rows("pcm.csv")
    assert table[0] == (0, pytest.approx(0.008702, abs=1e-6))
    assert table[0.5] == (pytest.approx(0.49580 - 0.5, abs=1e-5), pytest.approx(0.03860, abs=1e-5))
    assert table[1] == (pytest.approx(0.99579 - 1, abs=1e-5), pytest.approx(0.04266, abs=1e-5))


def test_reram_after_a_day() -> None:
    """Half and full conductance deviate by 3.909 and 2.651 of 40 µS (Wan et al. 2022), beside the idle device."""
    table = rows("reram_one_day.csv")
    idle = table[0][1] / 2**0.5
    for magnitude, deviation in ((0.5, 3.909), (1.0, 2.651)):
        assert (table[magnitude][1] ** 2 - idle**2) ** 0.5 == pytest.approx(deviation / 40, rel=1e-3)


def test_the_tables_are_made_by_their_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Running the script again gives exactly the files that are shipped, with the same content."""
    script = Path(__file__).parent.parent.parent / "scripts" / "make_device_tables.py"
    made = runpy.run_path(str(script))
    monkeypatch.setitem(made["main"].__globals__, "FOLDER", tmp_path)
    made["main"]()
    shipped = {path.name: path.read_text() for path in FOLDER.glob("*.csv")}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == shipped
    assert {"pcm.csv", "reram_one_day.csv"} <= set(shipped)
