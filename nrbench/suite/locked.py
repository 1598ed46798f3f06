"""Suites as a run locked them: everything resolved, so that a directory of results says what it holds."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from nrbench.base import disk
from nrbench.base.errors import Mark, Problem, SuiteError
from nrbench.families.registry import Registry
from nrbench.suite.suite import Benchmark, Collection, Suite
from nrbench.suite.yaml import dotted


def locked_suite(path: Path, registry: Registry) -> Benchmark:
    """Return the suite or collection that was locked in a file by its `lock`; files in it are known by their SHA-256."""
    content = disk.read(path) or b""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:  # no JSON, no text, or nothing but brackets
        raise SuiteError([Problem(Mark(str(path)), "", f"it is damaged: {error}")]) from None
    kind: type[Benchmark] = Collection if isinstance(document, dict) and "suites" in document else Suite
    try:
        return kind.model_validate_json(content, context={"registry": registry, "locked": True})
    except ValidationError as error:
        problems = [Problem(Mark(str(path)), dotted(detail["loc"]), detail["msg"]) for detail in error.errors()]
        raise SuiteError(problems) from None
