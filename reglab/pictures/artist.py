"""What the artists of all kinds of panels share: axes whose contents are made once and then filled."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures.heights import fitted
from reglab.pictures.words import typeset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


class PanelArtist:
    """One set of axes with its artists, which are made once and then filled; one subclass for each kind of panel."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.artists: list[Artist] = []
        self._limits: tuple[float, float] | None = None
        self.side = 0.0  # inches to the left of the axes that names of rows take from the title
        self.head = 0.0  # points between the axes and the title that names of upright lines take

    def fits(self, data: xr.Dataset) -> bool:
        """Tell whether results have the positions for which the axes were made."""
        raise NotImplementedError

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in; returns whether the axes changed, so that all must be drawn again."""
        raise NotImplementedError

    def describe(self) -> str:
        """Say in words what the panel shows."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw what changes onto the prepared background."""
        for artist in self.artists:
            self.axes.draw_artist(artist)

    def _animate(self, *artists: Artist) -> None:
        """Register artists, from below to above, that are drawn onto the background."""
        for artist in artists:
            artist.set_animated(True)
            self.artists.append(artist)

    def _widen(
        self,
        values: np.ndarray,
        ends: Sequence[Mapping[str, Any]],
        final: bool,
        log: bool = False,
        curves: np.ndarray | None = None,
    ) -> bool:
        """Set `_limits` so that they hold all values: declared ends stay, the others grow with the results.

        Where final `curves` would fill little of them, they follow the curves.
        """
        low = min((e["low"] for e in ends), default=None) if all("low" in e for e in ends) else None
        high = max((e["high"] for e in ends), default=None) if all("high" in e for e in ends) else None
        values = values[np.isfinite(values)]
        if log:
            values, low, high = np.log10(values[values > 0]), None, None
        smallest, largest = (values.min(), values.max()) if len(values) else (0.0, 1.0)
        margin = (0.06 if final else 0.25) * max(largest - smallest, 1e-9)
        wanted = (smallest - margin if low is None else low, largest + margin if high is None else high * 1.02)
        if final and curves is not None:
            wanted = fitted(wanted, np.log10(curves[curves > 0]) if log else curves, values)
        kept = self._limits
        if kept and not final and kept[0] <= smallest and largest <= kept[1]:
            return False
        if kept == wanted:
            return False
        self._limits = (float(wanted[0]), float(wanted[1] if wanted[1] > wanted[0] else wanted[0] + 1))
        return True


def bar(axes: Axes, mapped: Any, name: str) -> None:
    """Put a bar with the numbers of the colours beside the axes, with the name of what they mean."""
    from matplotlib.ticker import MaxNLocator

    # as part of the axes, so that it shares their margin with the legends and labels of the panels above and below
    beside = axes.figure.colorbar(mapped, cax=axes.inset_axes((1.03, 0, 0.045, 1)))
    beside.outline.set_visible(False)
    beside.locator = MaxNLocator(4)
    beside.set_label(typeset(name), fontsize=9.5)


def legend(axes: Axes, lines: Sequence[Any], names: Sequence[str]) -> None:
    """Name lines or marks beside the axes by how they look; one alone needs no name."""
    if len(lines) > 1:
        wrapped = [typeset("\n".join(textwrap.wrap(name, 12))) for name in names]
        axes.legend(lines, wrapped, loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, fontsize=9.5,
                    handlelength=2.2, handletextpad=0.5, borderaxespad=0.2)  # fmt: skip
