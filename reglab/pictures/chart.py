"""Views as figures that are filled while they are watched."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reglab.pictures.style import NARROW, WIDE, applied
from reglab.pictures.view import View
from reglab.pictures.words import sentence, typeset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


class Chart:
    """A view as one figure that can be filled again and again; only what changed is drawn again."""

    def __init__(self, data: xr.Dataset, view: View, arms: Mapping[str, str], width: float = WIDE) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.view = view
        columns = min(view.columns, len(view.panels))
        columns = max(1, columns // 2) if width <= NARROW else columns
        rows = -(-len(view.panels) // columns)
        with applied():
            self.figure = Figure(figsize=(width, view.height * rows), layout="constrained")
            self.canvas = FigureCanvasAgg(self.figure)
            grid = self.figure.subplots(rows, columns, squeeze=False).flat
            self._panels = []
            for axes, panel in zip(grid, view.panels, strict=False):
                self._panels.append(panel.artist(axes, data, arms))
            for i, (one, panel) in enumerate(zip(self._panels, view.panels, strict=True)):
                # the axes of a column stand in line
                side = max(other.side for other in self._panels[i % columns :: columns])
                letters = int((width / columns - 0.55 - side) * 10.5)
                head = max(other.head for other in self._panels[i // columns * columns :][:columns])
                one.axes.set_title(typeset("\n".join(textwrap.wrap(panel.question, letters))), pad=6 + head)
            for empty in list(grid)[len(view.panels) :]:
                empty.set_axis_off()
        self._background: Any = None
        self._drawn_at = 0.0
        self.update(data)

    def fits(self, data: xr.Dataset, view: View) -> bool:
        """Tell whether this figure can show a view of some results: the same view, the same positions on its axes."""
        return view is self.view and all(panel.fits(data) for panel in self._panels)

    def update(
        self, data: xr.Dataset, pinned: xr.Dataset | None = None, final: bool = True, growing: xr.Dataset | None = None
    ) -> None:
        """Fill the figure with results; `final` fits the axes to what is there.

        Behind them: a `pinned` run, dotted, and seeds still `growing`, thin, that do not count yet.
        """
        for panel in self._panels:
            if panel.fill(data, pinned, growing, final):
                self._background = None

    def png(self, dpi: float = 100) -> bytes:
        """Return the figure as PNG bytes, quickly: this is what a live figure sends."""
        target = io.BytesIO()
        self._image(dpi).save(target, "png", compress_level=1)
        return target.getvalue()

    def finished(self) -> Figure:
        """Return the figure as it is, to be saved; from then on it cannot be filled any more."""
        for panel in self._panels:
            for artist in panel.artists:
                artist.set_animated(False)
        return self.figure

    def _image(self, dpi: float) -> Any:
        from PIL import Image

        with applied():
            if self._background is None or self._drawn_at != dpi:
                self.figure.set_dpi(dpi)
                self.canvas.draw()
                self._background = self.canvas.copy_from_bbox(self.figure.bbox)
                self._drawn_at = dpi
            else:
                self.canvas.restore_region(self._background)
            for panel in self._panels:
                panel.draw()
        size = self.canvas.get_width_height()
        return Image.frombuffer("RGBA", size, self.canvas.buffer_rgba()).convert("RGB")

    def summary(self, data: xr.Dataset, headline: str, arms: Mapping[str, str]) -> str:
        """Say the most important of what the figure shows: the headline, or else what its first panel shows."""
        return sentence(data, headline, arms) if self.view.shows(headline) else self._panels[0].describe()

    def describe(self) -> str:
        """Say in words what the figure shows, with the numbers that matter: its alternative text."""
        return " ".join(panel.describe() for panel in self._panels)
