"""What every kind of panel is: a question, what it reads, an artist that draws it, a chart of the site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reglab.statistics import over_seeds

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from reglab.pictures.artist import PanelArtist
    from reglab.pictures.vega import Scene


@dataclass(frozen=True)
class Line:
    """A reference line: at a value of `axis` ("x" or "y"), or at the mean over seeds of a variable of one arm."""

    axis: Literal["x", "y"]
    at: float | str
    label: str
    arm: str = ""

    def reads(self) -> Iterator[Read]:
        """Yield what the line reads: the variable whose mean it stands at, if it does."""
        if isinstance(self.at, str):
            yield Read(self.at, [self.arm] if self.arm else ())

    def places(self, data: xr.Dataset) -> np.ndarray:
        """Return where the line stands: once for each setting of a grid, NaN where nothing is known yet."""
        if not isinstance(self.at, str):
            return np.array([self.at])
        values = data[self.at].sel(arm=self.arm) if self.arm else data[self.at]
        return over_seeds(values).values.ravel()


@dataclass
class Use:
    """What pictures and headline need of a variable: some arms; whole curves or the end only; its axes of items.

    `shown` when a picture shows it, `log` when on a logarithmic axis. `items` are axes of points, pixels or samples
    rather than of curves; a `cloud` is shown by pictures of items only. `limits` are the ends of a cloud's axes.
    """

    arms: set[str]
    shown: bool = False
    whole: bool = False
    log: bool = False
    cloud: bool = True
    items: set[str] = field(default_factory=set)
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Read:
    """What one panel reads of a variable, as `Use` says it; without `arms` all of them.

    `items` are the axes whose positions are items, by name or by number: -1 is the variable's last one.
    """

    variable: str
    arms: Sequence[str] = ()
    whole: bool = True
    log: bool = False
    items: Sequence[str | int] = ()
    limits: tuple[float, float] | None = None


def span(values: np.ndarray, attributes: Mapping[str, Any], limits: tuple[float, float] | None) -> tuple[float, float]:
    """Return from where to where some values are shown: as given, as declared, or from the smallest to the largest."""
    if limits is not None:
        return limits
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return attributes.get("low", low), attributes.get("high", high)


def position(at: Mapping[str, Any], arm: str) -> dict[str, Any]:
    """Return positions along axes, that of the arm among them where one is named."""
    return {**at, "arm": arm} if arm else dict(at)


class Panel:
    """One panel of a view. A kind of panel is a frozen dataclass in a file of its own, which says all that follows."""

    question: str

    def reads(self) -> Iterator[Read]:
        """Yield what the panel reads."""
        raise NotImplementedError

    def artist(self, axes: Axes, data: xr.Dataset, arms: Mapping[str, str]) -> PanelArtist:
        """Return what draws the panel on matplotlib's axes, made for the positions of these results."""
        raise NotImplementedError

    def chart(self, scene: Scene) -> dict[str, Any]:
        """Return the panel for the site, as plain values for JSON: `kind`, `spec` (Vega) and what its script needs.

        `question`, `lines`, `rules`, `x` and `y` are understood by the page itself: see `reglab.site.replay`. The
        script of a kind is the file of the same name that ends with `.js`.
        """
        raise NotImplementedError


def uses(kind: Any) -> dict[str, Use]:
    """Return the variables that the views and the headline of an experiment show, and what they need of each."""
    found: dict[str, Use] = {kind.headline: Use(set(kind.arms), whole=True, cloud=False)} if kind.headline else {}
    for read in (read for view in kind.views for panel in view.panels for read in panel.reads()):
        use = found.setdefault(read.variable, Use(set()))
        use.arms |= set(read.arms or kind.arms)
        use.shown, use.whole, use.log = True, use.whole or read.whole, use.log or read.log
        use.cloud = use.cloud and bool(read.items)
        dims = kind.outputs[read.variable].dims
        use.items |= {dims[axis] if isinstance(axis, int) else axis for axis in read.items}
        use.limits = read.limits or use.limits
    return found
