"""Sections: what the report shows beside its tables of accuracies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from nrbench.base.component import Component
from nrbench.families.claim import Evidence
from nrbench.families.sheet import Figure, Sheet


class Section(Component, family="sections"):
    """Family: tables and figures that the report makes of the rows of a leaderboard."""

    @abstractmethod
    def parts(self, evidence: Evidence) -> Iterable[Sheet | Figure]:
        """Return tables and figures of rows of one selection and one treatment of BatchNorm; nothing where nothing fits.

        A row may have no number: one that failed, or has no result yet. It is shown as such, or left out.
        """
