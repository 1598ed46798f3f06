"""Pictures that were drawn before: kept by what they show and how, so that a second report does not draw them again."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path
from pydantic import TypeAdapter

from nrbench.base import disk
from nrbench.base.component import canonical, digest
from nrbench.base.errors import StoreError
from nrbench.jobs.files import read_json, write_json

MOST = 500
"""Pictures that are kept, of about 30 kB; the oldest go."""
_SVG: TypeAdapter[str] = TypeAdapter(str)


def picture(draw: Callable[..., None], make: Callable[[], bytes], *how: object) -> bytes:
    """Return what `make` makes, or made before of the same data with the same code, where `draw` is a `partial` of ours.

    They are in the cache directory of the user, not with the results, which may be anybody's.
    """
    key = _key(draw, how)
    if key is None:
        return make()
    path = user_cache_path("nrbench") / "pictures" / f"{key}.json"
    with suppress(StoreError):  # no cache is no reason not to draw
        known = read_json(path, _SVG)
        if known is not None:
            return known.encode()
    svg = make()
    with suppress(StoreError, OSError):
        write_json(path, svg.decode(), wait="nothing")
        _keep_the_newest(path.parent)
    return svg


def _key(draw: Callable[..., None], how: tuple[object, ...]) -> str | None:
    """Return a hash of a drawing function of ours, its data and the code of both, None for what cannot be told by those."""
    if not isinstance(draw, partial) or draw.args or not draw.func.__module__.startswith("nrbench."):
        return None
    module, name = draw.func.__module__, draw.func.__qualname__
    if not name.isidentifier():  # what is defined inside of something has more in it than its data
        return None
    code = [_source(module), _source("nrbench.report.drawing"), version("nrbench"), version("matplotlib")]
    try:
        return digest([name, code, canonical(_plain(draw.keywords)), canonical(list(how))])
    except (TypeError, ValueError):  # data that is no plain data, or not finite
        return None


@lru_cache
def _source(module: str) -> str:
    return inspect.getsource(sys.modules[module])


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, dict):
        return [[key, _plain(item)] for key, item in value.items()]  # they are drawn in their order
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _keep_the_newest(folder: Path) -> None:
    files = list(folder.glob("*.json"))
    if len(files) > MOST:
        for path in sorted(files, key=lambda file: file.stat().st_mtime)[:-MOST]:
            disk.remove(path)
