"""Files of the store: JSON under a checksum of itself and of its place, tensors under one that the record holds."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load, save
from torch import Tensor

from nrbench.base import disk
from nrbench.base.component import canonical_json
from nrbench.base.errors import told

log = logging.getLogger(__name__)
Model = TypeVar("Model")
LARGEST = 2**28
"""Bytes of a document; a training of 100,000 epochs has 30 MB."""


def write_json(path: Path, value: Any, *, wait: disk.Wait = "name") -> None:
    """Write plain data under a checksum of it and of the place it belongs to."""
    body = canonical_json(value).encode()
    disk.write(path, _head(path, body) + b"\n" + body + b"\n", wait=wait)


def read_json(path: Path, model: TypeAdapter[Model], *, aside: bool = True) -> Model | None:
    """Return the checked content of a file, None when it is absent or, after moving it `aside`, damaged."""
    content = disk.read(path, largest=LARGEST)
    if content is None:
        return None
    head, _, body = content.partition(b"\n")
    body = body.removesuffix(b"\n")
    if head != _head(path, body):
        set_aside(path, "its checksum does not match", move=aside)
        return None
    try:
        return model.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        set_aside(path, f"{where}: {first['msg']}", move=aside)
        return None


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> str:
    """Write contiguous CPU tensors and return the SHA-256 of the file."""
    content = save(tensors)
    disk.write(path, content)
    return _sha256(content)


def read_tensors(path: Path, sha256: str, *, aside: bool = True) -> dict[str, Tensor] | None:
    """Return the tensors of a file whose checksum is known, None when it is absent or, after moving it `aside`, damaged."""
    content = disk.read(path)
    if content is None:
        return None
    if _sha256(content) != sha256:
        set_aside(path, "its checksum does not match", move=aside)
        return None
    try:
        return load(content)
    except Exception as error:  # safetensors' own, and what torch makes of types and shapes that it has not
        set_aside(path, told(error), move=aside)
        return None


def set_aside(path: Path, reason: str, *, move: bool = True) -> None:
    """Move a damaged file out of the way, or only say that it is damaged."""
    if not move:
        log.warning("%s is damaged (%s): left out", path, reason)
        return
    log.warning("%s is damaged (%s): moved aside, and computed again when it is needed", path, reason)
    disk.move(path, path.with_name(f"{path.name}.damaged"))


def _head(path: Path, body: bytes) -> bytes:
    place = f"{path.parent.name}/{path.name}\n".encode()  # so that a file that was swapped for another is damaged
    return json.dumps({"sha256": _sha256(place + body)}).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
