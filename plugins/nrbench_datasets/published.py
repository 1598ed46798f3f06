"""Published data sets on the disk: found or fetched, their hashes checked before anything is parsed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from nrbench import DataError

Checksums = Literal["published", "none"]
"""`published` reads the files that everybody has, after their hash was found right. `none` reads other files in the same
binary format, never in one that could run code; the leaderboard then says that the data is not standard."""

NON_STANDARD = "non-standard data"


def check_published(name: str, folder: Path, md5: Mapping[str, str], fetch: Callable[[], object]) -> None:
    """See to it that every file is in a folder with its published hash; fetch them where some are missing.

    Raise `DataError` naming what to put where when a file is missing and downloads are forbidden (NRBENCH_OFFLINE=1) or
    fail, and when a file is another than the published one.
    """
    if any(not (folder / file).is_file() for file in md5):
        if os.environ.get("NRBENCH_OFFLINE", "0") not in ("", "0"):
            raise DataError(f"{_wanted(name, folder, md5)}, and NRBENCH_OFFLINE forbids downloading them")
        try:
            fetch()
        except Exception as error:  # urllib's, tarfile's and torchvision's own
            raise DataError(f"{_wanted(name, folder, md5)}; downloading failed: {error}") from error
    for file, expected in md5.items():
        try:
            found = hashlib.md5((folder / file).read_bytes(), usedforsecurity=False).hexdigest()
        except OSError as error:
            raise DataError(f"cannot read {folder / file}: {error.strerror}") from error
        if found != expected:
            raise DataError(
                f"{folder / file} is not the published file: its MD5 is {found}, not {expected}; "
                "replace it, or say `checksums: none` for data of your own"
            )


def read(path: Path, name: str) -> bytes:
    """Return the content of a file of a data set; raise `DataError` saying what is wanted where."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} wants {path}: {error.strerror} (--data-dir or NRBENCH_DATA_DIR say where)") from error


def _wanted(name: str, folder: Path, files: Mapping[str, str]) -> str:
    return f"{name} wants {', '.join(sorted(files))} in {folder} (--data-dir or NRBENCH_DATA_DIR say where)"
