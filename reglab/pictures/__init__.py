"""What results look like, on a page and in a live figure: what a paper declares its pictures with."""

from reglab.pictures.curves import Curves
from reglab.pictures.dots import Dots
from reglab.pictures.heatmap import Heatmap
from reglab.pictures.histogram import Histogram
from reglab.pictures.images import Images
from reglab.pictures.panel import Line, Panel
from reglab.pictures.points import Points
from reglab.pictures.scatter import Scatter
from reglab.pictures.shares import Shares
from reglab.pictures.view import View

__all__ = ["Curves", "Dots", "Heatmap", "Histogram", "Images", "Line", "Panel", "Points", "Scatter", "Shares", "View"]
