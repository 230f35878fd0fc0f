"""Charts that are filled while they are watched: every stage is drawn as if afresh."""

from __future__ import annotations

import io

import numpy as np
import pytest
import xarray as xr
from made_replay import VIEWS as MADE_VIEWS
from made_replay import Made
from made_results import ARMS, CURVES, DOTS, LOG, POINTS, VIEW, growing, results
from matplotlib.axes import Axes
from matplotlib.text import Text
from PIL import Image

from reglab.pictures import View
from reglab.pictures.chart import Chart
from reglab.pictures.style import NARROW, WIDE


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def settled(data: xr.Dataset) -> Chart:
    """Return a chart that was drawn and filled once more, and whose axes from now on stay where they are."""
    chart = Chart(data, VIEW, ARMS)
    chart.png()
    chart.figure.set_layout_engine("none")
    chart.update(data)
    return chart


@pytest.mark.parametrize("final", [True, False])
def test_what_is_drawn_onto_a_kept_background_equals_a_fresh_drawing(final: bool) -> None:
    data = results()
    chart = settled(growing(data, 3))
    before = pixels(chart.png())
    for known in (3, 5, 9):
        chart.update(growing(data, known), final=final)
        kept = pixels(chart.png())
        chart.png(dpi=50)  # another resolution, so that the next one is drawn again from the ground
        np.testing.assert_array_equal(kept, pixels(chart.png()))
    assert (kept != before).any()


def test_drawing_again_changes_nothing() -> None:
    chart = settled(results())
    first = pixels(chart.png())
    np.testing.assert_array_equal(first, pixels(chart.png()))
    chart.update(results())
    np.testing.assert_array_equal(first, pixels(chart.png()))


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_results_on_their_way_are_drawn_at_every_stage(seeds: int) -> None:
    data = results(seeds)
    chart = Chart(growing(data, 0), VIEW, ARMS)
    empty = pixels(chart.png())
    for known in range(10):
        chart.update(growing(data, known), final=False)
        image = pixels(chart.png())
        assert image.shape == empty.shape
    assert (image != empty).any()
    assert ("one seed" if seeds == 1 else f"mean of {seeds} seeds") in chart.describe()


def test_a_pinned_run_and_growing_seeds_are_seen_and_vanish_again() -> None:
    data = results()
    chart = settled(data)
    alone = pixels(chart.png())
    for pinned, more in ((results(effect=0.1), None), (None, growing(results(3), 5))):
        chart.update(data, pinned=pinned, growing=more)
        assert (pixels(chart.png()) != alone).any()
        chart.update(data)
        np.testing.assert_array_equal(pixels(chart.png()), alone)


def test_a_chart_fits_only_its_own_view_and_axes() -> None:
    chart = Chart(results(), VIEW, ARMS)
    assert chart.fits(results(3), VIEW)
    assert not chart.fits(results(times=8), VIEW)
    assert not chart.fits(results(), View("Other", (CURVES,)))


@pytest.mark.parametrize("view", MADE_VIEWS, ids=lambda view: view.title)
def test_every_newer_kind_of_panel_is_drawn_at_every_stage_as_if_afresh(view: View) -> None:
    data, stages = Made().run(5), (0, 2, 6, 11)
    chart = Chart(growing(data, 0), view, Made.arms)
    assert chart.describe().count("no data") >= len(view.panels)
    chart.png()
    chart.figure.set_layout_engine("none")
    images = []
    for known in stages[1:]:
        chart.update(growing(data, known), final=known == 11)
        images.append(pixels(chart.png()))
        chart.png(dpi=50)
        np.testing.assert_array_equal(images[-1], pixels(chart.png()))
    assert (images[0] != images[1]).any() and (images[1] != images[2]).any()
    assert "no data" not in chart.describe() and chart.fits(data, view)
    chart.update(data, pinned=Made(decay=1.0).run(5), growing=growing(Made().run(2), 2))
    chart.update(data)
    np.testing.assert_array_equal(pixels(chart.png()), images[-1])


@pytest.mark.parametrize("view", MADE_VIEWS, ids=lambda view: view.title)
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_all_of_a_newer_kind_lies_inside_its_picture_and_is_large_enough_to_read(view: View, width: float) -> None:
    chart = Chart(Made().run(5), view, Made.arms, width)
    chart.png()
    frame = chart.figure.bbox
    for text in (one for one in chart.figure.findobj(Text) if one.get_text().strip() and one.get_visible()):
        box = text.get_window_extent()
        assert float(text.get_fontsize()) >= 9, text
        inside = frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1 and frame.y0 - 1 <= box.y0 and box.y1 <= frame.y1 + 1
        assert inside or _beyond_the_axis(text, chart), text


def _beyond_the_axis(text: Text, chart: Chart) -> bool:
    """Tell whether a text is a tick label outside the ends of its axis, which is not drawn."""
    for axes in chart.figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            if any(text is tick.label1 and not low <= tick.get_loc() <= high for tick in axis.get_major_ticks()):
                return True
    return False


@pytest.mark.parametrize("view", [LOG, DOTS, POINTS], ids=lambda view: view.title)
def test_every_kind_of_panel_is_drawn_at_every_stage_as_if_afresh(view: View) -> None:
    data = results()
    chart = Chart(growing(data, 0), view, ARMS)
    assert "no data" in chart.describe()
    chart.png()
    chart.figure.set_layout_engine("none")
    images = []
    for known in (3, 5, 9):
        chart.update(growing(data, known), final=known == 9)
        images.append(pixels(chart.png()))
        chart.png(dpi=50)
        np.testing.assert_array_equal(images[-1], pixels(chart.png()))
    assert (images[0] != images[1]).any() and (images[1] != images[2]).any()
    for pinned, more in ((results(effect=0.1).roll(time=1), None), (None, growing(results(3), 5))):
        chart.update(data, pinned=pinned, growing=more)
        if pinned is not None or view is not POINTS:
            assert (pixels(chart.png()) != images[-1]).any()
        chart.update(data)
        np.testing.assert_array_equal(pixels(chart.png()), images[-1])
