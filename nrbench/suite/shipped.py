"""The suites that come with nrbench."""

from __future__ import annotations

from pathlib import Path

from nrbench.base.errors import UsageError, did_you_mean


def find_suite(name: str | Path) -> Path:
    """Return the file of a suite given by path or, for one that comes with nrbench, by name."""
    path = Path(name)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return path
    shipped = shipped_suites()
    if str(name) in shipped:
        return shipped[str(name)]
    hint = did_you_mean(name, list(shipped))
    raise UsageError(f"no file and no suite named {str(name)!r}; {hint or 'there are ' + ', '.join(shipped)}")


def shipped_suites() -> dict[str, Path]:
    """Return the suites that come with nrbench, by name."""
    package = Path(__file__).parent.parent
    folder = next(path for path in (package / "suites", package.parent / "suites") if path.is_dir())
    files = (path for path in sorted(folder.rglob("*.yaml")) if not path.name.startswith("_"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}
