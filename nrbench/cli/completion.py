"""What a shell completes: the names of suites and of components, beside files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from click import Context, Parameter
from click.shell_completion import CompletionItem

from nrbench.suite.shipped import shipped_suites


def suite_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the suites that come with nrbench, and leave the rest to files."""
    return [*_starting(shipped_suites(), incomplete), CompletionItem(incomplete, type="file")]


def component_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of components, each also with its family's word before it."""
    found = dict.fromkeys(name for kind, leaf in _components() for name in (leaf, f"{kind}/{leaf}"))
    return list(_starting(found, incomplete))


def kinds(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return what can be listed: the families, and plugins and suites."""
    return list(_starting([*dict.fromkeys(kind for kind, _ in _components()), "plugins", "suites"], incomplete))


def executors(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of executors."""
    return list(_starting((leaf for kind, leaf in _components() if kind == "executors"), incomplete))


def _components() -> Iterator[tuple[str, str]]:
    import nrbench  # it loads every plugin, and torch with them

    return ((entry.kind, entry.name) for entry in nrbench.load_registry().entries)


def _starting(names: Iterable[str], incomplete: str) -> Iterator[CompletionItem]:
    return (CompletionItem(name) for name in names if name.startswith(incomplete))
