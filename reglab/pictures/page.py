"""Finished pictures for a page: their files, wide and narrow, and their alternative text."""

from __future__ import annotations

import base64
import gzip
import html
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reglab.pictures.chart import Chart
from reglab.pictures.style import CARD, FURTHER, NARROW, NIGHT, ROLES, WIDE, applied
from reglab.pictures.view import View

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

PAGE_DPI, COLORS = 120, 64
"""Sharpness and number of colors of a finished picture in pixels: crisp enough, light enough for a page."""

HEAVY = 24_000
"""A vector picture of more compressed bytes has so many shapes that pixels are lighter."""


EMBEDDED = r'"data:image/(?P<kind>svg|webp)(?:\+xml)?;base64,(?P<data>[A-Za-z0-9+/=]+)"'
"""A pattern of the address of a `Form` inside a page."""


@dataclass(frozen=True)
class Form:
    """One form of a picture: the bytes of an SVG or WebP file, and its size in pixels of a page."""

    content: bytes
    width: int
    height: int

    @property
    def mime(self) -> str:
        """The kind of the file."""
        return "image/svg+xml" if self.content.startswith(b"<") else "image/webp"

    def attributes(self, source: str) -> str:
        """Return the attributes of an HTML element that shows it; `source` names the one with the address."""
        data = base64.b64encode(self.content).decode()
        return f'{source}="data:{self.mime};base64,{data}" width="{self.width}" height="{self.height}"'


@dataclass(frozen=True)
class Picture:
    """A finished picture with its alternative text, in a wide and (for phones) a narrow form."""

    wide: Form
    narrow: Form
    png: bytes
    alt: str

    @property
    def html(self) -> str:
        """The picture as HTML that needs nothing else."""
        style = f"width:100%;max-width:{WIDE * 100:.0f}px;height:auto"
        return (
            f'<picture class="reglab-picture"><source media="(max-width: 600px)" {self.narrow.attributes("srcset")}>'
            f'<img alt="{html.escape(self.alt)}" {self.wide.attributes("src")} style="{style}"></picture>'
        )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        return {"text/html": self.html, "image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}


def draw(data: xr.Dataset, view: View, arms: Mapping[str, str]) -> Picture:
    """Draw a view of some results as a picture for the page."""
    wide, narrow = (Chart(data, view, arms, width) for width in (WIDE, NARROW))
    return _picture(wide.finished(), narrow.finished(), wide.describe())


def picture(plot: Callable[..., str], *arguments: Any, height: float = 3.2) -> Picture:
    """Make a picture with a paper's own matplotlib function, `plot(figure, *arguments)`, which returns the alt text.

    It is called for a wide and for a narrow figure; `figure.get_figwidth()` tells which.
    """
    from matplotlib.figure import Figure

    figures, alt = [], ""
    for width, tall in ((WIDE, height), (NARROW, height * 1.7)):
        with applied():
            figures.append(Figure(figsize=(width, tall), layout="constrained"))
            alt = plot(figures[-1], *arguments)
    return _picture(figures[0], figures[1], alt)


def _picture(wide: Figure, narrow: Figure, alt: str) -> Picture:
    png = _saved(wide, "png")
    return Picture(_form(wide, png), _form(narrow), png, alt)


def _form(figure: Figure, png: bytes = b"") -> Form:
    """Return a figure in the lighter form: shapes, which stay sharp at any size, unless there are too many of them."""
    content = _lighter(_saved(figure, "svg"))
    if len(gzip.compress(content)) > HEAVY:
        content = _pixels(png or _saved(figure, "png"))
    width, height = (round(inches * 100) for inches in figure.get_size_inches())
    return Form(content, width, height)


def _saved(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file; the first call finds the layout, which then stays.

    The canvas writes it at once: `savefig` would draw every figure twice to find out what is already known.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    target = io.BytesIO()
    with applied():
        if kind == "svg":
            FigureCanvasSVG(figure).print_svg(target, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        else:
            figure.set_dpi(PAGE_DPI)
            FigureCanvasAgg(figure).print_png(target)
    figure.set_layout_engine("none")
    return target.getvalue()


def _lighter(svg: bytes) -> bytes:
    """Leave away what nobody sees in a vector picture: hundredths of a point, turns by nothing, long lists of fonts."""
    text = re.sub(r'\b(?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0]), svg.decode())
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    return re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "'DejaVu Sans', Verdana, sans-serif", text).encode()


def unpacked(found: re.Match[str]) -> tuple[str, bytes]:
    """Return the kind and the bytes of a file for a picture that was `EMBEDDED`; a vector picture has its `night`."""
    kind, content = found["kind"], base64.b64decode(found["data"])
    return kind, night(content) if kind == "svg" else content


def night(svg: bytes) -> bytes:
    """Let a vector picture follow the theme of the page that shows it; on a dark one the house's colours by night.

    A picture has the color scheme of its page (CSS `color-scheme`). Colours that are none of the house's, as those of
    cells and pixels, stay, since they are numbers.
    """
    looks = (*FURTHER, *(look for role in ROLES.values() for look in role))
    inks = {look.ink: NIGHT[look.color] for look in reversed(looks)}  # two share one: the lighter
    text, rules = svg.decode(), ["text{fill:#f0f0f0}"]
    for day, dark in {**inks, **NIGHT, "#ffffff": CARD, "#e4e4e4": "#4a4f57"}.items():
        for paint in ("fill", "stroke"):
            if f"{paint}: {day.lower()}" in text:
                rules.append(f'[style*="{paint}: {day.lower()}"]{{{paint}:{dark}!important}}')
        if f'fill="{day.lower()}"' in text:  # the ground of a hatching
            rules.append(f'[fill="{day.lower()}"]{{fill:{dark}}}')
    return text.replace("</style>", f"@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>", 1).encode()


def _pixels(png: bytes) -> bytes:
    """Return a picture in few colours as lossless WebP, which takes two thirds of the bytes of PNG."""
    from PIL import Image

    target = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(COLORS, dither=Image.Dither.NONE).convert("RGB").save(target, "webp", lossless=True, method=6)
    return target.getvalue()
