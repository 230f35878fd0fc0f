"""The house's looks: colour, line and marker of each role, by day and by night, and the settings of every figure."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WIDE, NARROW = 7.6, 3.8
"""Widths of a picture in inches, on a page and on a phone; 100 pixels of the page are one inch."""


@dataclass(frozen=True)
class Style:
    """How a role looks everywhere: colour, the darker colour of its label, line style, marker."""

    color: str
    ink: str
    line: Any
    marker: str


BASELINE = Style("#595959", "#404040", "-", "o")
METHOD = Style("#0072B2", "#005a8f", "-", "s")
RIVAL = Style("#D55E00", "#a34700", (0, (3, 1)), "P")
NULL = Style("#949494", "#6b6b6b", (0, (1, 1.5)), ">")
SECOND_RIVAL = Style("#A33A00", "#8a3100", (0, (5, 1, 1, 1)), "p")
SECOND_NULL = Style("#ADADAD", "#6b6b6b", (0, (1, 3)), "h")
FURTHER = (
    Style("#E69F00", "#8a5f00", (0, (6, 2)), "^"),
    Style("#009E73", "#006e50", (0, (4, 1.5, 1, 1.5)), "D"),
    Style("#CC79A7", "#9a4674", (0, (1.5, 1.5)), "v"),
    Style("#56B4E9", "#1b74a6", (0, (2, 1, 1, 1)), "X"),
    Style("#882255", "#882255", (0, (8, 1.5, 2, 1.5)), "<"),
)
"""Okabe-Ito colours: grey is the baseline, blue the method, vermilion its rival; ablations and others take these."""

ROLES = {"baseline": (BASELINE,), "method": (METHOD,), "rival": (RIVAL, SECOND_RIVAL), "null": (NULL, SECOND_NULL)}
"""The looks that stand for one role in all papers, for its first arm and for a second one."""

LAYERS = (("#0072B2", ""), ("#D55E00", "////"), ("#BBBBBB", "...."))
"""Colour and hatching of stacked shares, from below."""

SEQUENTIAL = ("#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151",
              "#bddf26", "#fde725")  # fmt: skip
"""Viridis from low to high: equal steps of the number look like equal steps of lightness."""

DIVERGING = ("#053061", "#2065ab", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d",
             "#b1182b", "#67001f")  # fmt: skip
"""From blue (below zero) over white (zero) to red (above it)."""

NIGHT = {"#595959": "#b4b4b4", "#0072B2": "#4aa8e0", "#E69F00": "#f0b32e", "#009E73": "#2fc79b", "#CC79A7": "#dd9cc0",
         "#D55E00": "#f08a45", "#56B4E9": "#8ccdf2", "#882255": "#c2609a", "#949494": "#8a8a8a", "#BBBBBB": "#6a6a6a",
         "#A33A00": "#f7b48c", "#ADADAD": "#787878", "#000000": "#f0f0f0"}  # fmt: skip
"""The colours of the house on a dark page."""

CARD = "#121212"
"""The background of a dark page, and so of the pictures on it."""

SHAPES = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross",
          "<": "triangle-left", ">": "triangle-right",
          "p": "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
          "h": "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z",
          "X": "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"}  # fmt: skip
"""matplotlib's markers by the names that Vega knows, or as a path."""

SWATCHES = {"circle": "M3.5,0A3.5,3.5,0,1,1,-3.5,0A3.5,3.5,0,1,1,3.5,0Z", "square": "M-3,-3H3V3H-3Z",
            "triangle-up": "M0,-4L4,3H-4Z", "triangle-down": "M0,4L4,-3H-4Z", "triangle-left": "M-4,0L3,-4V4Z",
            "triangle-right": "M4,0L-3,-4V4Z", "diamond": "M0,-4.5L4.5,0L0,4.5L-4.5,0Z",
            "cross": "M-1.5,-4H1.5V-1.5H4V1.5H1.5V4H-1.5V1.5H-4V-1.5H-1.5Z"}  # fmt: skip
"""The same markers as paths, for the legend beside the charts."""


def styles(arms: Mapping[str, str]) -> dict[str, Style]:
    """Return the look of every arm from its role; roles without a look of their own take the further looks in order.

    Raises `ValueError` where two arms would look the same: for too many arms of one of `ROLES`, or too many others.
    """
    roles = list(arms.values())
    for role, looks in ROLES.items():
        if roles.count(role) > len(looks):
            raise ValueError(f"{roles.count(role)} arms are {role!r}: there are looks for {len(looks)}, the others are "
                             "'further'")  # fmt: skip
    others = [role for role in roles if role not in ROLES]
    if len(others) > len(FURTHER):
        raise ValueError(f"{len(others)} arms besides {', '.join(ROLES)}: there are looks for {len(FURTHER)}; "
                         "a page shows at most five arms at once")  # fmt: skip
    left = {role: iter(looks) for role, looks in ROLES.items()}
    further = iter(FURTHER)
    return {arm: next(left.get(role, further)) for arm, role in arms.items()}


LOOK: Any = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "axes.edgecolor": "#808080",
    "hatch.linewidth": 0.6,
    "hatch.color": "#ffffff",
    "figure.facecolor": "white",
    "svg.fonttype": "none",  # outlines of letters would weigh more than all lines
    "svg.hashsalt": "reglab",  # the same picture is the same file in every run
}
"""matplotlib settings of every figure."""


_LOCK = threading.RLock()


@contextlib.contextmanager
def applied() -> Iterator[None]:
    """Draw in the house's style, whatever matplotlib was told before (a dark style, LaTeX, an rc file).

    One thread at a time, since matplotlib has one set of settings for all threads.
    """
    import matplotlib

    with _LOCK, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(LOOK)
        yield
