"""The hooks a plugin may implement."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from nrbench.base.component import Component

hookspec = pluggy.HookspecMarker("nrbench")
hookimpl = pluggy.HookimplMarker("nrbench")


@hookspec
def nrbench_components() -> Iterable[type[Component]]:  # type: ignore[empty-body]
    """Return the component classes of this plugin: methods, noise models, backbones, data sets and the like."""
