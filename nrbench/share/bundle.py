"""Bundles: a directory or a .zip, with a manifest that holds the SHA-256 of every file in it. Data, never code."""

from __future__ import annotations

import json
import os
import re
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from pydantic import Field, ValidationError

from nrbench.base import disk
from nrbench.base.chance import STREAM_VERSION
from nrbench.base.component import Component, Frozen, canonical_json
from nrbench.base.errors import StoreError, UsageError, printable
from nrbench.suite.cell import PROTOCOL_VERSION

MANIFEST = "bundle.json"
FORMAT = 1
LARGEST_MANIFEST = 2**24
_KEY = "[0-9a-f]{32}"
INSIDE = re.compile(
    rf"suite\.lock\.json|store/cells/[0-9a-f]{{2}}/{_KEY}\.json|store/data/{_KEY}\.json"
    rf"|store/trainings/{_KEY}/(spec\.json|record\.json|epochs/\d{{1,9}}\.safetensors)|files/[0-9a-f]{{64}}"
)
"""The names that a file in a bundle can have: none of them leads out of it."""


class StoredFile(Frozen):
    """A file of a bundle."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: int = Field(ge=0)


class Manifest(Frozen):
    """What a bundle says of itself."""

    format: int
    row: dict[str, str]
    """The labels of the row that it is of."""
    seeds: int = Field(ge=1)
    licence: str
    """Under which the numbers and weights are given: an SPDX identifier."""
    nrbench: str
    """The version that wrote it."""
    protocol: int
    stream: int
    components: dict[str, int]
    """The versions of the components that made the row, by family and name such as methods/rwp."""
    distributions: dict[str, str]
    """The versions of the installed packages that these come from."""
    files: dict[Annotated[str, Field(pattern=f"^({INSIDE.pattern})$")], StoredFile]

    def differences(self, installed: Mapping[str, type[Component]]) -> Iterator[str]:
        """Yield in what its numbers come from other versions than the installed ones, by family and name."""
        for what, theirs, ours in (
            ("protocol", self.protocol, PROTOCOL_VERSION),
            ("random stream", self.stream, STREAM_VERSION),
        ):
            if theirs != ours:
                yield f"version {theirs} of the {what}, which is {ours} here"
        for name, number in self.components.items():
            here = installed.get(name)
            if here is None:
                yield f"{name}, which is not installed here: it came with {self._origins()}"
            elif here.version != number:
                yield f"version {number} of {name}, which is {here.version} here"

    def _origins(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in self.distributions.items()) or "no distribution"


def write(folder: Path, target: Path, **facts: Any) -> None:
    """Write what is in a directory as a bundle, with the facts of its manifest; a name that ends in .zip makes one file."""
    if target.exists():
        raise UsageError(f"{target} is there already")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    contents = {path.relative_to(folder).as_posix(): disk.read(path) or b"" for path in paths}
    files = {
        name: StoredFile(sha256=sha256(content).hexdigest(), bytes=len(content)) for name, content in contents.items()
    }
    manifest = Manifest(
        format=FORMAT,
        nrbench=version("nrbench"),
        protocol=PROTOCOL_VERSION,
        stream=STREAM_VERSION,
        files=files,
        **facts,
    )
    contents = {MANIFEST: _sealed(manifest), **contents}
    if target.suffix == ".zip":
        disk.write(target, _zipped(contents))
    else:
        for name in [*list(contents)[1:], MANIFEST]:  # the manifest last: without it there is no bundle
            disk.write(target / name, contents[name])


def _sealed(manifest: Manifest) -> bytes:
    body = manifest.model_dump(mode="json")
    seal = sha256(canonical_json(body).encode()).hexdigest()
    return json.dumps({"sha256": seal, "bundle": body}, indent=1, sort_keys=True).encode() + b"\n"


def _zipped(contents: Mapping[str, bytes]) -> bytes:
    """Return an archive with the same bytes whenever it is made; nothing is compressed, so that nothing can swell."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name)  # of 1980
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def is_bundle(path: Path) -> bool:
    """Whether a path looks like a bundle."""
    return path.suffix == ".zip" or (path / MANIFEST).exists() or (path / MANIFEST).is_symlink()


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[Path, Manifest]]:
    """Copy a bundle into a directory of its own, as long as the context lasts, and return that with its manifest.

    Raise `StoreError` for anything that is not what the manifest says, by name; nothing outside of the copy is written.
    """
    with TemporaryDirectory(prefix="nrbench-") as folder:
        with _opened(path) as bundle:
            manifest = _copied(path, bundle, Path(folder))
        yield Path(folder), manifest


def _copied(path: Path, bundle: _Files, folder: Path) -> Manifest:
    """Copy what a bundle's manifest names into a directory, and return the manifest."""
    manifest = _manifest(bundle.content(MANIFEST, LARGEST_MANIFEST), path)
    times = Counter(bundle.names())
    for name in sorted({*times, *manifest.files}):
        if name not in manifest.files and name != MANIFEST:
            raise StoreError(f"{path}: {printable(name)} is not in its {MANIFEST}")
        if times[name] != 1:
            raise StoreError(f"{path}: {printable(name)} is there {times[name]} times")
    for name, stored in manifest.files.items():
        content = bundle.content(name, stored.bytes)
        if sha256(content).hexdigest() != stored.sha256:
            raise StoreError(f"{path}: {name} is not what {MANIFEST} says: its SHA-256 is another")
        disk.write(folder / name, content, wait="nothing")
    return manifest


def _manifest(content: bytes, path: Path) -> Manifest:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path}: {MANIFEST} is damaged: {error}") from None
    body = document.get("bundle") if isinstance(document, dict) else None
    if not isinstance(body, dict):
        raise StoreError(f"{path}: {MANIFEST} is no manifest of a bundle")
    if body.get("format") != FORMAT:
        told = printable(str(body.get("format")))[:40]
        raise StoreError(f"{path}: it is a bundle of format {told}, and this version of nrbench reads {FORMAT}")
    try:
        manifest = Manifest.model_validate_json(canonical_json(body))
        if document.get("sha256") != sha256(canonical_json(body).encode()).hexdigest():
            raise StoreError(f"{path}: {MANIFEST} is not what its own SHA-256 says")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = printable(".".join(map(str, first["loc"])))[:200]
        raise StoreError(f"{path}: {MANIFEST}: {where}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path}: {MANIFEST} is damaged: {error}") from None
    return manifest


class _Files(ABC):
    """The files of a bundle, wherever they are."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the name of everything in it that is no directory."""

    @abstractmethod
    def content(self, name: str, largest: int) -> bytes:
        """Return a file; raise `StoreError` for what is none, or is larger than it may be."""


class _Folder(_Files):
    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> Iterator[str]:
        for parent, folders, files in os.walk(self._root):
            links = [name for name in folders if Path(parent, name).is_symlink()]
            yield from (Path(parent, name).relative_to(self._root).as_posix() for name in (*files, *links))

    def content(self, name: str, largest: int) -> bytes:
        content = disk.read(disk.inside(self._root, self._root / name), largest=largest)
        if content is None:
            raise StoreError(f"{self._root}: {name} is missing")
        return content


class _Zip(_Files):
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise StoreError(
                f"{path}: more is in it than it is large: its files are compressed, or lie over each other"
            )

    def names(self) -> Iterator[str]:
        return (entry.filename for entry in self._archive.infolist() if not entry.is_dir())

    def content(self, name: str, largest: int) -> bytes:
        entry = next((entry for entry in self._archive.infolist() if entry.filename == name), None)
        if entry is None:
            raise StoreError(f"{self._path}: {name} is missing")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise StoreError(
                f"{self._path}: {name} is compressed, which no bundle is: it could be of any size (zip -0)"
            )
        if entry.file_size > largest:
            raise StoreError(f"{self._path}: {name} has {entry.file_size:,} bytes, more than {largest:,}")
        return self._archive.read(entry)


@contextmanager
def _opened(path: Path) -> Iterator[_Files]:
    if path.is_dir():
        disk.check_no_links(path)
        yield _Folder(path)
        return
    if path.exists() and not path.is_file():
        raise StoreError(f"{path}: it is neither a file nor a directory")
    try:
        with zipfile.ZipFile(path) as archive:
            yield _Zip(path, archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise StoreError(f"{path}: it is no archive that can be read: {error}") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None
