"""One picture of results: panels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reglab.pictures.panel import Panel


@dataclass(frozen=True)
class View:
    """One picture of a data set: a title for menus, and panels side by side in `columns`, each `height` inches high."""

    title: str
    panels: Sequence[Panel]
    columns: int = 2
    height: float = 2.7

    def shows(self, variable: str) -> bool:
        """Tell whether a panel shows a variable."""
        return any(read.variable == variable for panel in self.panels for read in panel.reads())
