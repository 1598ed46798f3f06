"""Files that components read: known by their content, and checked whenever they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from nrbench.base import disk
from nrbench.base.component import Frozen
from nrbench.base.errors import DataError


class DataFile(Frozen):
    """A file a component reads: known by its content, so that moving it changes no key and editing it does.

    In a suite it is written as a path, relative to the file that it stands in.
    """

    largest: ClassVar[int] = 2**35
    """Bytes that are read; a larger file is refused."""

    path: str
    sha256: str

    def identity(self) -> Any:
        """Return its hash: where it is does not matter."""
        return {"sha256": self.sha256}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "description": "A path, relative to the suite's file."}

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, Mapping | cls):
            return value
        if (info.context or {}).get("locked"):
            raise PydanticCustomError("file", "a locked suite says which file it means by its SHA-256")
        if not isinstance(value, str | Path):
            raise PydanticCustomError("file", "expected the path of a file")
        path = getattr(value, "written_in", Path()) / value
        try:
            sha256 = cls.hashed(path)
        except OSError as error:
            raise PydanticCustomError(
                "file", "cannot read {path}: {reason}", {"path": str(path), "reason": error.strerror or str(error)}
            ) from None
        return {"path": str(path.resolve()), "sha256": sha256}

    @classmethod
    def hashed(cls, path: Path) -> str:
        """Return the hash of what is at a path; raise `OSError` if it cannot be read."""
        return hashlib.sha256(disk.content(path, largest=cls.largest)).hexdigest()

    def check_content(self, parse: Callable[[bytes], object]) -> None:
        """Parse the content to see whether it is right; raise `ValueError` with the path where it is not.

        What is not there, or has changed, is left to `read`: a locked suite may be read where its files are not, and their
        content was checked when it was locked.
        """
        try:
            parse(self.read())
        except DataError:
            return
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None

    def read(self) -> bytes:
        """Return the content; raise `DataError` when it is gone or is no longer what was validated."""
        try:
            content = disk.content(Path(self.path), largest=self.largest)
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise DataError(f"{self.path} has changed since the suite was read")
        return content


class TableFile(DataFile):
    """A file with a table of numbers."""

    largest: ClassVar[int] = 2**24
