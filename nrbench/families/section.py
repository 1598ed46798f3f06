"""Sections: what the report shows beside its tables of accuracies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Literal, NamedTuple

from nrbench.base.component import Component
from nrbench.families.claim import Evidence
from nrbench.families.sheet import Figure, Sheet


class Asked(NamedTuple):
    """A label, or a pattern for labels, of one section of the suite."""

    section: Literal["methods", "noise", "probes"]
    pattern: str
    field: str
    """The path of the field that it stands in, such as `y.probe`."""


class Section(Component, family="sections"):
    """Family: tables and figures that the report makes of the rows of a leaderboard."""

    def asked(self) -> Iterable[Asked]:
        """Return the labels that it needs to be in the suite, so that one that is not is a mistake at its place."""
        return ()

    @abstractmethod
    def parts(self, evidence: Evidence) -> Iterable[Sheet | Figure]:
        """Return tables and figures of rows of one selection and one treatment of BatchNorm; nothing where nothing fits.

        A row may have no number: one that failed, or has no result yet. It is shown as such, or left out.
        """
