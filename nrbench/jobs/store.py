"""The store: a directory of results under their keys. It knows no suites, and every write of it is whole or absent."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from torch import Tensor

from nrbench.base import disk
from nrbench.base.component import Frozen
from nrbench.base.errors import StoreError, UsageError
from nrbench.jobs.files import read_json, read_tensors, set_aside, write_json, write_tensors
from nrbench.jobs.history import CheckpointRecord, TrainingRecord
from nrbench.jobs.results import CellFailure, CellResult
from nrbench.suite.cell import Cell

_KEY = re.compile(r"[0-9a-f]{32}")


class Merged(Frozen):
    """What came of merging two stores, in cells and trainings."""

    new: int
    same: int
    different: tuple[str, ...]
    """Keys of cells that have another result here."""
    trainings: int
    """Trainings that were taken over."""


class Store:
    """`trainings/<key>/` and `cells/<ab>/<key>.json` below a directory.

    A JSON file is two lines: the SHA-256 of its own place and the second line, and the second line. It is checked before
    anything is parsed; a damaged file is moved aside, reported and treated as absent.
    """

    def __init__(self, root: Path, *, untouched: bool = False) -> None:
        """Make a store of a directory; `untouched` is one that nothing is written to, somebody else's."""
        self.root, self._untouched = root, untouched
        self._inside: set[str] = set()
        self._cells: dict[str, Path] = {}
        self._images: dict[str, int | None] = {}

    def _checked(self, folder: str) -> str:
        """Return a directory below the root to which no link leads; each is looked at once."""
        if folder not in self._inside:
            disk.inside(self.root, Path(folder, "any"))
            self._inside.add(folder)
        return folder

    def result(self, key: str) -> CellResult | CellFailure | None:
        """Return what is stored under the key of a cell."""
        return read_json(self._cell(key), _RESULT, aside=not self._untouched)

    def result_of(self, cell: Cell) -> CellResult | CellFailure | None:
        """Return what is stored for a cell; what cannot be its result is moved aside and treated as absent."""
        path = self._cell(cell.key)
        found = read_json(path, _RESULT, aside=not self._untouched)
        if isinstance(found, CellResult) and (reason := found.against(cell, images=self._tested_on(cell))):
            set_aside(path, reason, move=not self._untouched)
            return None
        return found

    def has(self, key: str) -> bool:
        """Whether anything is stored for a cell, whatever it is."""
        return self._cell(key).exists()

    def put(self, key: str, result: CellResult | CellFailure) -> None:
        """Store the result of a cell; a failure gives way to whatever comes after it.

        The same result again is nothing new. Another result under the same key is put beside the first and raises
        `StoreError`: the two should have been equal, and only a person can say which is right.
        """
        path = self._cell(key)
        known = read_json(path, _RESULT)
        if known == result:
            return
        if isinstance(known, CellResult) and isinstance(result, CellResult):
            other = self._cell(f"{key}.{result.fingerprint}")
            write_json(other, result.model_dump(mode="json"))
            raise StoreError(f"{path} and {other.name} hold different results of one cell")
        if not isinstance(known, CellResult):
            # it may be lost or torn with the machine, which its checksum tells, and is computed again then: waiting for the
            # disk was a sixth of the time of 10,000 small cells
            write_json(path, result.model_dump(mode="json"), wait="nothing")

    def merge(self, other: Store) -> Merged:
        """Take over what another store has and this one lacks; results of one cell that differ are named, not taken.

        Raise `StoreError`, and take nothing, where the two know of other images under one data set.
        """
        known = sorted(path.stem for path in other.root.glob("data/*.json"))
        if others := [name for name in known if not self._knows_same(other, name)]:
            raise StoreError(
                f"{other.root} has results of other images than {self.root} under one data set ({others[0][:8]}): they do "
                "not go together"
            )
        for name in known:
            self.take_data(other, name)
        new, same, different = 0, 0, []
        for key in other.judged():
            theirs, ours = other.result(key), self.result(key)
            if not isinstance(theirs, CellResult):
                continue
            if isinstance(ours, CellResult):
                same += ours == theirs
                different += [key] if ours != theirs else []
            else:
                self.put(key, theirs)
                new += 1
        folders = (folder.name for folder in sorted(other.root.glob("trainings/*")) if _KEY.fullmatch(folder.name))
        trainings = sum(self.training(key).take(other.training(key)) for key in folders)
        return Merged(new=new, same=same, different=tuple(different), trainings=trainings)

    def judged(self) -> list[str]:
        """Return the keys of all cells with a result."""
        names = (path.name.removesuffix(".json") for path in self.root.glob("cells/??/*.json"))
        return sorted(name for name in names if _KEY.fullmatch(name))

    def same_data(self, dataset: str, sha256: str, *, images: int) -> bool:
        """Whether the images of a data set, by its fingerprint, are those that results here were computed with.

        Files that are in no key, such as those without published checksums, may have been replaced. `images` is the number
        of those that are tested on, which every result has to be about.
        """
        path, told = self._data(dataset), {"sha256": sha256, "images": str(images)}
        known = self.data(dataset)
        if known is None or (known.get("sha256") == sha256 and "images" not in known):
            write_json(path, told)
            return True
        return known == told

    def same_start(self, of: str, sha256: str) -> bool:
        """Whether first weights are those that another process began with; `of` names all that they should depend on."""
        path = disk.inside(self.root, Path(f"{self.root}/starts/{of}.json"))
        known = read_json(path, _DATA, aside=not self._untouched)
        if known is None:
            write_json(path, {"sha256": sha256}, wait="nothing")
        return known is None or known.get("sha256") == sha256

    def take_data(self, other: Store, dataset: str) -> bool:
        """Take over what another store knows of the images of a data set; False where this one knows of other images."""
        theirs = other.data(dataset)
        if theirs is not None and self.data(dataset) is None:
            write_json(self._data(dataset), theirs)
        return self._knows_same(other, dataset)

    def _knows_same(self, other: Store, dataset: str) -> bool:
        theirs, ours = other.data(dataset), self.data(dataset)
        return None in (theirs, ours) or (theirs or {}).get("sha256") == (ours or {}).get("sha256")

    def data(self, dataset: str) -> dict[str, str] | None:
        """Return what is known of the images of a data set, by its fingerprint: their SHA-256, and how many are tested on."""
        return read_json(self._data(dataset), _DATA, aside=not self._untouched)

    def _data(self, dataset: str) -> Path:
        return disk.inside(self.root, Path(f"{self.root}/data/{dataset}.json"))

    def _tested_on(self, cell: Cell) -> int | None:
        """Return the number of test images of a cell, as far as it is known here."""
        dataset = cell.training.dataset.fingerprint
        if dataset not in self._images:
            number = (self.data(dataset) or {}).get("images", "")
            self._images[dataset] = int(number) if number.isdecimal() and len(number) < 20 else None
        return self._images[dataset]

    def find(self, start: str) -> str:
        """Return the key of the one cell with a result whose key starts like this; raise `UsageError` else."""
        keys = [key for key in self.judged() if key.startswith(start)] if start else []
        if len(keys) != 1:
            which = f"{len(keys)} cells" if keys else "no cell"
            raise UsageError(f"{which} with a key that starts with {start!r} in {self.root}")
        return keys[0]

    def discard(self, key: str) -> None:
        """Forget the result of a cell."""
        disk.remove(self._cell(key))

    def training(self, key: str) -> TrainingStore:
        """Return the place of a training."""
        if not _KEY.fullmatch(key):
            raise StoreError(f"{key!r} is no key of a training")
        folder = f"{self.root}/trainings/{key}"
        self._checked(f"{folder}/epochs")
        return TrainingStore(Path(folder), untouched=self._untouched)

    def _cell(self, key: str) -> Path:
        if key not in self._cells:
            if not _KEY.fullmatch(key.partition(".")[0]) or not key.replace(".", "").isalnum():
                raise StoreError(f"{key!r} is no key of a cell")
            self._cells[key] = Path(f"{self._checked(f'{self.root}/cells/{key[:2]}')}/{key}.json")
        return self._cells[key]


_RESULT: TypeAdapter[CellResult | CellFailure] = TypeAdapter(CellResult | CellFailure)
_DATA: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
_RECORD: TypeAdapter[TrainingRecord] = TypeAdapter(TrainingRecord)


class TrainingStore:
    """One training: `spec.json`, `record.json`, `checkpoint-<n>.safetensors`, `epochs/<n>.safetensors`."""

    def __init__(self, root: Path, *, untouched: bool = False) -> None:
        self.root, self._untouched = root, untouched

    def record(self) -> TrainingRecord:
        """Return how far it is; a record that is empty if it never ran."""
        return read_json(self.root / "record.json", _RECORD, aside=not self._untouched) or TrainingRecord()

    def write(self, record: TrainingRecord, *, spec: Mapping[str, Any]) -> None:
        """Store the record, and beside it what the training is, for people; then drop files no longer named."""
        if not (self.root / "spec.json").exists():
            write_json(self.root / "spec.json", spec, wait="nothing")
        write_json(self.root / "record.json", record.model_dump(mode="json"))
        named = {self._weights(epoch) for epoch in record.kept}
        named |= {self._checkpoint(checkpoint.epoch) for checkpoint in record.checkpoints}
        for path in [*self.root.glob("*.safetensors"), *self.root.glob("epochs/*.safetensors")]:
            if path not in named:
                disk.remove(path)

    def take(self, other: TrainingStore, *, weights: Collection[int] | None = None) -> bool:
        """Take over another training's files unless there is one here; return whether it was taken.

        `weights` are the epochs whose weights come along: all that are kept, with what a training can go on from, by default.
        Of one that is here already, weights that are missing are filled in.
        """
        theirs, ours = other.record(), self.record()
        taken = bool(theirs.epochs or theirs.kept) and not (ours.epochs or ours.kept)
        record = theirs if taken else ours
        for epoch, sha256 in record.kept.items():
            wanted = (weights is None or epoch in weights) and theirs.kept.get(epoch) == sha256
            if wanted and not self._weights(epoch).exists():
                self._copy(other, self._weights(epoch).relative_to(self.root))
        if taken:
            for checkpoint in record.checkpoints if weights is None else ():
                self._copy(other, self._checkpoint(checkpoint.epoch).relative_to(self.root))
            disk.write(self.root / "spec.json", disk.read(other.root / "spec.json") or b"")
            write_json(self.root / "record.json", record.model_dump(mode="json"))
        return taken

    def _copy(self, other: TrainingStore, name: Path) -> None:
        content = disk.read(other.root / name)
        if content is not None:
            disk.write(self.root / name, content)

    def save_weights(self, epoch: int, tensors: dict[str, Tensor]) -> str:
        """Store the weights of an epoch and return their SHA-256."""
        return write_tensors(self._weights(epoch), tensors)

    def weights(self, record: TrainingRecord, epoch: int) -> dict[str, Tensor] | None:
        """Return the weights of a kept epoch, None when they are missing or damaged."""
        if epoch not in record.kept:
            return None
        return read_tensors(self._weights(epoch), record.kept[epoch], aside=not self._untouched)

    def save_checkpoint(self, epoch: int, tensors: dict[str, Tensor]) -> str:
        """Store the tensors of a checkpoint and return their SHA-256."""
        return write_tensors(self._checkpoint(epoch), tensors)

    def checkpoint(self, record: CheckpointRecord) -> dict[str, Tensor] | None:
        """Return the tensors of a checkpoint, None when they are missing or damaged."""
        return read_tensors(self._checkpoint(record.epoch), record.sha256, aside=not self._untouched)

    def _weights(self, epoch: int) -> Path:
        return self.root / "epochs" / f"{epoch}.safetensors"

    def _checkpoint(self, epoch: int) -> Path:
        return self.root / f"checkpoint-{epoch}.safetensors"
