"""Pictures: what is drawn equals what was computed, and their text says it all."""

from __future__ import annotations

import io
import itertools
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
from made_results import ARMS, CURVES, VIEW, growing, results
from PIL import Image

from reglab.pictures import drawing, views
from reglab.pictures.drawing import Chart
from reglab.pictures.views import Curves, Dots, Line, Points, View


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def size(form: drawing.Form) -> tuple[int, int]:
    return form.width, form.height


def settled(data: xr.Dataset) -> Chart:
    """Return a chart that was drawn and filled once more, and whose axes from now on stay where they are."""
    chart = Chart(data, VIEW, ARMS)
    chart.png()
    chart.figure.set_layout_engine("none")
    chart.update(data)
    return chart


def test_a_picture_has_two_sizes_and_says_the_final_numbers() -> None:
    data = results()
    drawn = drawing.draw(data, VIEW, ARMS)
    assert size(drawn.wide) == (760, 270) and size(drawn.narrow) == (380, 540)
    assert Image.open(io.BytesIO(drawn.png)).size == (7.6 * drawing.PAGE_DPI, 2.7 * drawing.PAGE_DPI)
    for arm in ARMS:
        assert f"ends at {views.number(float(data.score.sel(arm=arm).mean('seed')[-1]))}" in drawn.alt
    assert "Which is higher?" in drawn.alt and "Where does it go?" in drawn.alt and "mean of 6 seeds" in drawn.alt
    assert drawn.html.count("data:image/svg+xml;base64,") == 2 and 'alt="' in drawn.html
    assert 'width="760" height="270"' in drawn.html and 'width="380" height="540"' in drawn.html


def test_a_vector_picture_holds_the_curves_to_a_tenth_of_a_point_and_its_text_as_text() -> None:
    data = results(1)
    chart = Chart(data, View("One", (CURVES,), columns=1), ARMS)
    figure = chart.finished()
    form = drawing._form(figure)
    axes, height = figure.axes[0], 72 * figure.get_figheight()
    drawn = ElementTree.fromstring(form.content)
    texts = {"".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Which is higher?", "time (s)", *ARMS} <= texts
    paths = [
        np.array(re.findall(r"-?\d+\.?\d*", path.get("d", "")), dtype=float).reshape(-1, 2)
        for path in drawn.iter("{http://www.w3.org/2000/svg}path")
    ]
    for arm in ARMS:
        curve = np.column_stack([data.time, data.score.sel(arm=arm, seed=data.seed[0])])
        points = axes.transData.transform(curve) * 72 / figure.dpi
        points[:, 1] = height - points[:, 1]
        assert any(path.shape == points.shape and abs(path - points).max() < 0.11 for path in paths), arm
    assert form == drawing._form(Chart(data, chart.view, ARMS).finished()), "the same picture is the same file"


def test_a_picture_of_too_many_shapes_is_made_of_pixels() -> None:
    def plot(figure: Any, count: int) -> str:
        figure.subplots().scatter(*np.random.default_rng(0).normal(size=(2, count)), s=1)
        return "Points."

    few, many = (drawing.picture(plot, count) for count in (100, 20_000))
    assert few.wide.mime == few.narrow.mime == "image/svg+xml"
    assert many.wide.mime == many.narrow.mime == "image/webp"
    with Image.open(io.BytesIO(many.wide.content)) as image:
        assert image.format == "WEBP" and image.size == (7.6 * drawing.PAGE_DPI, 3.2 * drawing.PAGE_DPI)
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) <= drawing.COLORS
    assert size(many.wide) == (760, 320)


def test_a_picture_without_results_says_so() -> None:
    assert "no data" in drawing.draw(growing(results(), 0), VIEW, ARMS).alt


@pytest.mark.parametrize("final", [True, False])
def test_what_is_drawn_onto_a_kept_background_equals_a_fresh_drawing(final: bool) -> None:
    data = results()
    chart = settled(growing(data, 3))
    before = pixels(chart.png())
    for known in (3, 5, 9):
        chart.update(growing(data, known), final=final)
        kept = pixels(chart.png())
        chart.png(dpi=50)  # another resolution, so that the next one is drawn anew from the ground
        np.testing.assert_array_equal(kept, pixels(chart.png()))
    assert (kept != before).any()


def test_drawing_again_changes_nothing() -> None:
    chart = settled(results())
    first = pixels(chart.png())
    np.testing.assert_array_equal(first, pixels(chart.png()))
    chart.update(results())
    np.testing.assert_array_equal(first, pixels(chart.png()))


def test_labels_stay_inside_a_picture_that_was_empty_at_first() -> None:
    data, view = results(), View("One", (CURVES,), columns=1)
    chart = Chart(growing(data, 0), view, ARMS)
    chart.png()
    chart.update(growing(data, 5), final=False)
    chart.png()
    ends = {text.get_text(): text.get_window_extent().x1 for text in chart.figure.axes[0].texts}
    assert {"plain", "new", "odd"} <= set(ends)
    assert max(ends.values()) <= chart.figure.bbox.width


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


def test_a_picture_of_a_papers_own_function() -> None:
    widths: list[float] = []

    def plot(figure: object, text: str) -> str:
        widths.append(figure.get_figwidth())  # type: ignore[attr-defined]
        return f"An empty picture: {text}."

    drawn = drawing.picture(plot, "nothing")
    assert widths == [views.WIDE, views.NARROW] and drawn.alt == "An empty picture: nothing."
    assert size(drawn.wide) == (760, 320) and size(drawn.narrow) == (380, 544)


# ----------------------------------------------------------------------------------- log axes, theory, dots, points

LOG = View("Log", (Curves("How small?", ["score"], ["new", "odd"], log=True, theory="formula"),))
DOTS = View("Dots", (Dots("Who wins?", "score", lines=[Line("x", 0.5, "half")]), Dots("And the loss?", "loss")))
CLOUD = Points("Where are they?", "cloud", "new", origin="start", groups="class", crosses="corner", limits=(-4, 4))
POINTS = View("Points", (CLOUD, Points("And here?", "cloud", "odd")))


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


def test_a_logarithmic_axis_holds_all_seeds_and_the_theory_is_the_mean_line() -> None:
    data = results()
    chart = Chart(data, LOG, ARMS)
    (axes,) = chart.figure.axes
    values = data.score.sel(arm=["new", "odd"]).values
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log" and 0 < low <= values.min() and values.max() <= high
    dashed = [np.asarray(line.get_xydata()) for line in axes.lines if line.get_color() == "black"]
    for line, arm in zip([line for line in dashed if len(line)], ("new", "odd"), strict=True):
        np.testing.assert_allclose(line[:, 1], data.formula.sel(arm=arm))
    assert "dashed: formula" in axes.get_xlabel()
    data["formula"] = data.formula + 0.25
    assert "against time (s), mean of 6 seeds: new" in chart.describe()
    assert "dashed: formula, at most 0 from the mean" in chart.describe()
    assert "dashed: formula, at most 0.25 from the mean" in Chart(data, LOG, ARMS).describe()


def test_labels_of_lines_do_not_overlap() -> None:
    data = results().assign_coords(arm=np.array(["a rather long name of an arm", "new", "odd"], dtype=object))
    data["score"][:] = data.score.isel(arm=0)
    chart = Chart(data, View("One", (Curves("Which is higher?", ["score"]),), columns=1),
                  {"a rather long name of an arm": "baseline", "new": "method", "odd": "ablation"})  # fmt: skip
    chart.png()
    boxes = sorted(
        (text.get_window_extent() for text in chart.figure.axes[0].texts if text.get_text()), key=lambda box: box.y0
    )
    assert len(boxes) == 3
    assert all(below.y1 <= above.y0 + 2 for below, above in itertools.pairwise(boxes))


def test_dots_say_mean_and_interval_and_show_every_seed() -> None:
    data = results()
    chart = Chart(data, DOTS, ARMS)
    axes, said = chart.figure.axes[0], chart.describe()
    assert [label.get_text() for label in axes.get_yticklabels()] == list(ARMS)
    for i, arm in enumerate(ARMS):
        values = data.score.sel(arm=arm).isel(time=-1)
        assert f"{arm} {views.number(float(values.mean()))} (95 % interval" in said
        clouds = [np.asarray(line.get_xydata()) for line in axes.lines]
        (seeds,) = [cloud for cloud in clouds if len(cloud) == 6 and abs(cloud[:, 1].mean() - i) < 0.1]
        np.testing.assert_allclose(seeds[:, 0], values)
    assert "mean of 6 seeds" in said


def test_points_move_with_the_film_and_say_where_they_are() -> None:
    data = results()
    chart = Chart(growing(data, 5), POINTS, ARMS)
    first, second = chart.figure.axes
    assert first.get_xlim() == first.get_ylim() == (-4, 4)
    groups = [cloud for cloud in (np.asarray(line.get_xydata()) for line in first.lines) if len(cloud) in (6, 7)]
    shown = data.cloud.sel(arm="new", time=4).values
    np.testing.assert_allclose(np.concatenate(groups), np.concatenate([shown[i::3] for i in range(3)]))
    (arrows,) = first.collections
    starts = [np.asarray(path.vertices)[0] for path in arrows.get_paths()]
    np.testing.assert_allclose(starts, data.start.sel(arm="new"))
    assert "time 4" in [text.get_text() for text in second.texts]
    assert "20 points of new at time 4" in chart.describe() and "of 2 crosses" in chart.describe()


def test_a_narrow_picture_keeps_half_the_columns() -> None:
    view = View("Four", (Points("Where?", "cloud", "new"),) * 4, columns=4, height=2)
    drawn = drawing.draw(results(), view, ARMS)
    assert size(drawn.wide) == (760, 200) and size(drawn.narrow) == (380, 400)
