from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nrbench import Store, StoreError
from nrbench.jobs.device import environment
from nrbench.jobs.history import CheckpointRecord, EpochRecord, TrainingRecord
from nrbench.jobs.results import CellFailure, CellResult, Score, score

RESULT = CellResult(
    correct=(5, 6),
    images=10,
    epoch=2,
    clean_correct=8,
    training="ef" + "0" * 30,
    chosen_with=Score(correct=4, images=8),
    displacement_norm=0.5,
    weight_norm=None,
    epochs=3,
    loss=0.25,
    passes_per_step=2.0,
    environments=(environment(torch.device("cpu")),),
)
KEY = "ab" + "0" * 30


def test_results_and_failures_come_back(tmp_path: Path) -> None:
    """What was put under a key is what is found under it; nothing is found under another."""
    store = Store(tmp_path)
    failure = CellFailure(status="timeout", message="too long", traceback="…")
    store.put(KEY, RESULT)
    store.put("cd" + KEY[2:], failure)
    assert store.result(KEY) == RESULT
    assert store.result("cd" + KEY[2:]) == failure
    assert store.result("ef" + KEY[2:]) is None
    store.discard(KEY)
    assert store.result(KEY) is None


def test_files_are_json_under_their_checksum(tmp_path: Path) -> None:
    """Two lines of JSON that any tool reads: the SHA-256 of the file's place and the result, and the result."""
    Store(tmp_path).put(KEY, RESULT)
    content = (tmp_path / "cells" / "ab" / f"{KEY}.json").read_bytes()
    _, body = content.splitlines()
    assert json.loads(body)["correct"] == [5, 6]
    assert content.split() == _signed(body).split()


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": truncated,
    "flipped": flipped,
    "emptied": lambda content: b"",
    "garbage": lambda content: b"\x80\x04.",
    "wrong shape": lambda content: _signed(b"[1]"),
    "another cell's": lambda content: _signed(content.splitlines()[1], place="ab/other.json"),
}


def _signed(body: bytes, place: str = f"ab/{KEY}.json") -> bytes:
    signed = f"{place}\n".encode() + body
    return json.dumps({"sha256": hashlib.sha256(signed).hexdigest()}).encode() + b"\n" + body + b"\n"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_result_is_moved_aside_and_reported(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """It counts as absent, stays for inspection, is named in a warning, and another result is not touched."""
    store = Store(tmp_path)
    store.put(KEY, RESULT)
    store.put("ab1" + KEY[3:], RESULT)
    path = tmp_path / "cells" / "ab" / f"{KEY}.json"
    path.write_bytes(damage(path.read_bytes()))
    assert store.result(KEY) is None
    assert path.with_name(f"{KEY}.json.damaged").exists()
    assert KEY in caplog.text
    assert store.result("ab1" + KEY[3:]) == RESULT
    store.put(KEY, RESULT)
    assert store.result(KEY) == RESULT


def test_a_training_keeps_what_its_record_names(tmp_path: Path) -> None:
    """Weights and checkpoints come back bit for bit; files that the record does not name any more are dropped."""
    training = Store(tmp_path).training(KEY)
    assert training.record() == TrainingRecord()
    weights, momentum = {"w": torch.randn(3, 4)}, {"optimizer/0/momentum_buffer": torch.randn(3, 4)}
    kept = {epoch: training.save_weights(epoch, weights) for epoch in (1, 2)}
    checkpoint = CheckpointRecord(epoch=2, scalars={"x": 1}, sha256=training.save_checkpoint(2, momentum))
    epoch = EpochRecord(loss=1.0, passes_per_step=1.0, seconds=0.1, measured={"s": {"correct": 3}})
    record = TrainingRecord(epochs=(epoch, epoch), checkpoints=(checkpoint,), kept=kept)
    training.write(record, spec={"what": "a test"})
    assert training.record() == record
    for found, stored in ((training.weights(record, 2), weights), (training.checkpoint(checkpoint), momentum)):
        assert found is not None
        assert found.keys() == stored.keys()
        assert all(torch.equal(found[name], stored[name]) for name in stored)
    assert training.weights(record, 3) is None
    training.write(record.replace(kept={1: kept[1]}, checkpoints=()), spec={})
    files = {path.relative_to(training.root).as_posix() for path in training.root.rglob("*") if path.is_file()}
    assert files == {"spec.json", "record.json", "epochs/1.safetensors"}


@pytest.mark.parametrize("damage", [truncated, flipped, lambda content: b""])
def test_damaged_tensors_are_absent(tmp_path: Path, damage: Callable[[bytes], bytes], caplog: Any) -> None:
    """A tensor file whose checksum is not the record's is never parsed."""
    training = Store(tmp_path).training(KEY)
    record = TrainingRecord(kept={1: training.save_weights(1, {"w": torch.ones(100)})})
    path = training.root / "epochs" / "1.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert training.weights(record, 1) is None
    assert "1.safetensors" in caplog.text


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """A file in the place of the directory is a StoreError that names it."""
    (tmp_path / "cells").write_text("")
    with pytest.raises(StoreError, match="cells"):
        Store(tmp_path).put(KEY, RESULT)


def test_the_file_of_another_cell_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A whole result in the place of another one, as a careless copy leaves it, is not taken for that cell's."""
    store, other = Store(tmp_path), "ab1" + KEY[3:]
    store.put(KEY, RESULT)
    store.put(other, RESULT.replace(correct=(1, 1)))
    place = tmp_path / "cells" / "ab"
    (place / f"{KEY}.json").write_bytes((place / f"{other}.json").read_bytes())
    assert store.result(KEY) is None
    assert KEY in caplog.text
    assert store.result(other) == RESULT.replace(correct=(1, 1))


def test_results_of_other_images_are_not_taken(tmp_path: Path) -> None:
    """What was computed on other images under one data set is refused whole; where nothing is known, the record comes along."""
    ours, theirs, fresh = (Store(tmp_path / name) for name in ("ours", "theirs", "fresh"))
    dataset = "d" * 32
    assert ours.same_data(dataset, "a" * 64, images=10)
    assert theirs.same_data(dataset, "b" * 64, images=10)
    theirs.put(KEY, RESULT)
    with pytest.raises(StoreError, match="of other images"):
        ours.merge(theirs)
    assert ours.result(KEY) is None
    assert fresh.merge(theirs).new == 1
    assert not fresh.same_data(dataset, "a" * 64, images=10)


def test_equal_sums_of_right_answers_are_equal_scores() -> None:
    """Of 1,000 images 384 + 397 + 427 and 403 + 378 + 427 are one accuracy, to the last bit, which rounded percentages are not."""
    first, second = (
        RESULT.replace(correct=counts, images=1000, clean_correct=1) for counts in ((384, 397, 427), (403, 378, 427))
    )
    assert score(first) == score(second) == 100 * 1208 / 3000
