from __future__ import annotations

from pathlib import Path

from nrbench.base.log import Event, RunLog


def test_events_come_back_once_and_in_order(tmp_path: Path) -> None:
    """What one process adds another reads, each event once; torn lines are passed over or waited for."""
    path = tmp_path / "run.log"
    writer, reader = RunLog(path), RunLog(path)
    assert list(reader.news()) == []
    writer.add(Event(training="a", kind="started"))
    writer.add(Event(training="a", kind="epoch", epoch=1, loss=0.5))
    assert [(event.kind, event.epoch) for event in reader.news()] == [("started", 0), ("epoch", 1)]
    assert list(reader.news()) == []
    with path.open("a") as file:
        file.write('{"torn\n{"training": "b", "kind": "fin')
    assert list(reader.news()) == []
    with path.open("a") as file:
        file.write('ished"}\n')
    assert [event.training for event in reader.news()] == ["b"]
    late = RunLog(path)
    late.skip()
    writer.add(Event(training="c", kind="failed", message="…"))
    assert [event.training for event in late.news()] == ["c"]
