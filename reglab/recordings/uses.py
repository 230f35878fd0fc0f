"""What the pictures and the headline of an experiment need of its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reglab.experiment import Experiment
from reglab.pictures.views import Curves, Dots, Points, Shares


@dataclass
class Use:
    """What pictures and headline need of a variable: some arms; whole curves or the end only; one cloud of points.

    `shown` when a picture shows it, `log` when on a logarithmic axis; `limits` are the ends of a cloud's axes.
    """

    arms: set[str]
    shown: bool = False
    whole: bool = False
    log: bool = False
    cloud: bool = True
    limits: tuple[float, float] | None = None


def uses(kind: type[Experiment]) -> dict[str, Use]:
    """Return the variables that an experiment's views and headline show, and what they need of each."""
    found: dict[str, Use] = {}

    def add(
        name: Any, arms: Any = (), *, whole: bool = True, log: bool = False, cloud: bool = False, shown: bool = True
    ) -> None:
        if isinstance(name, str) and name:
            use = found.setdefault(name, Use(set()))
            use.arms |= set(arms or kind.arms)
            use.whole, use.log, use.cloud = use.whole or whole, use.log or log, use.cloud and cloud
            use.shown = use.shown or shown

    add(kind.headline, shown=False)
    for panel in (panel for view in kind.views for panel in view.panels):
        if isinstance(panel, Curves):
            for name in (*panel.variables, panel.theory):
                add(name, panel.arms, log=panel.log)
        elif isinstance(panel, Shares):
            for name in panel.variables:
                add(name, [panel.arm])
        elif isinstance(panel, Dots):
            add(panel.variable, panel.arms, whole=False)
        elif isinstance(panel, Points):
            for name in (panel.variable, panel.origin, panel.groups, panel.crosses):
                add(name, [panel.arm] if panel.arm else [], cloud=True)
            found[panel.variable].limits = panel.limits
        for line in getattr(panel, "lines", ()):
            add(line.at, [line.arm] if line.arm else [])
    return found
