"""Published data sets on the disk: found or fetched, their hashes checked before anything is parsed."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from nrbench import DataError, Dataset

Checksums = Literal["published", "none"]
"""`published` reads the files that everybody has, after their hash was found right. `none` reads other files in the same
binary format, never in one that could run code; the leaderboard then says that the data is not standard."""

NON_STANDARD = "non-standard data"


class Published(Dataset):
    """A data set that everybody has, known by its name as long as its files have their published hashes."""

    checksums: Checksums = "published"

    @property
    def caveat(self) -> str:
        return "" if self.by_content else NON_STANDARD

    @property
    def by_content(self) -> bool:
        return self.checksums == "published"


class Archive(NamedTuple):
    """A published archive that holds the files of a data set."""

    path: Path
    md5: str


def check_published(
    name: str, folder: Path, md5: Mapping[str, str], fetch: Callable[[], object], *, archive: Archive | None = None
) -> None:
    """See to it that every file is in a folder with its published hash; unpack or fetch them where some are missing.

    Raise `DataError` naming what to put where when a file is missing and downloads are forbidden (NRBENCH_OFFLINE=1) or
    fail, and when a file is another than the published one.
    """

    def missing() -> bool:
        return any(not (folder / file).is_file() for file in md5)

    if missing() and archive is not None and archive.path.is_file():
        _unpack(archive, folder, md5)
    if missing():
        wanted = _wanted(name, folder, md5, archive)
        if os.environ.get("NRBENCH_OFFLINE", "0") not in ("", "0"):
            raise DataError(f"{wanted}, and NRBENCH_OFFLINE forbids downloading them")
        try:
            fetch()
        except Exception as error:  # urllib's, tarfile's and torchvision's own
            raise DataError(f"{wanted}; downloading failed: {error}") from error
    for file, expected in md5.items():
        _checked(folder / file, expected)


def _checked(path: Path, md5: str) -> bytes:
    """Return the content of a file whose hash is the published one; it is compared before anything is parsed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        page = content[:1024].lstrip().lower().startswith((b"<!doctype html", b"<html"))
        why = "it is an HTML page" if page else f"it is cut short or altered, {len(content):,} bytes"
        raise DataError(
            f"{path} is not the published file: {why}, its MD5 is {found}, not {md5}; "
            "replace it, or say `checksums: none` for data of your own"
        )
    return content


def _unpack(archive: Archive, folder: Path, files: Collection[str]) -> None:
    """Write the wanted regular files of an archive into a folder; nothing else in it leaves a trace."""
    content = _checked(archive.path, archive.md5)
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        for member in opened:
            path = PurePosixPath(member.name)
            if member.isfile() and path.parent.name == folder.name and path.name in files:
                stream = opened.extractfile(member)
                assert stream is not None  # it is a regular file
                draft = folder / f"{path.name}.draft"  # so that an interruption leaves no half of a file under its name
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    draft.write_bytes(stream.read())
                    draft.replace(folder / path.name)
                except OSError as error:
                    raise DataError(f"cannot unpack {archive.path} into {folder}: {error.strerror}") from error


def read(path: Path, name: str) -> bytes:
    """Return the content of a file of a data set; raise `DataError` saying what is wanted where."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} wants {path}: {error.strerror} (--data-dir or NRBENCH_DATA_DIR say where)") from error


def _wanted(name: str, folder: Path, files: Collection[str], archive: Archive | None) -> str:
    packed = f", or {archive.path}" if archive else ""
    return f"{name} wants {', '.join(sorted(files))} in {folder}{packed} (--data-dir or NRBENCH_DATA_DIR say where)"
