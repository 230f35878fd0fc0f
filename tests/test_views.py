"""Pictures: what is drawn equals what was computed, looks differ in more than color, text says it all."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from PIL import Image

from reglab import views
from reglab.views import Chart, Curves, Line, Shares, View

ARMS = {"plain": "baseline", "new": "method", "odd": "ablation"}
CURVES = Curves("Which is higher?", ["score"], peak="plain", lines=[Line("y", 0.5, "half"), Line("x", "stop", "stop")])
PARTS = Shares("Where does it go?", ["up", "down"], "new")
VIEW = View("Both", (CURVES, PARTS))


def results(seeds: int = 6, times: int = 9, effect: float = 0.3) -> xr.Dataset:
    draws = np.random.default_rng(0)
    score = draws.normal(0.4, 0.05, size=(3, seeds, times)).cumsum(-1) / np.arange(1, times + 1)
    score[1] += effect
    up = draws.uniform(size=(3, seeds, times))
    dims = ("arm", "seed", "time")
    data = xr.Dataset(
        {
            "score": (dims, score, {"units": "1", "long_name": "score", "low": 0, "high": 1}),
            "loss": (dims, 3 * score, {"units": "nat", "long_name": "loss"}),
            "up": (dims, up, {"units": "1", "long_name": "up"}),
            "down": (dims, 1 - up, {"units": "1", "long_name": "down"}),
            "stop": ("seed", np.full(seeds, 3.0), {"units": "1", "long_name": "stop"}),
            "deep": (("arm", "seed", "time", "kind"), score[..., None] * [1, 10], {"units": "1", "long_name": "deep"}),
        },
        {
            "arm": np.array(list(ARMS), dtype=object),
            "seed": np.arange(seeds),
            "time": ("time", np.arange(times), {"units": "s", "long_name": "time", "log": 0}),
            "kind": np.array(["a", "b"], dtype=object),
        },
    )
    return data


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def settled(data: xr.Dataset) -> Chart:
    """Return a chart that was drawn and filled once more, and whose axes from now on stay where they are."""
    chart = Chart(data, VIEW, ARMS)
    chart.png()
    chart.figure.set_layout_engine("none")
    chart.update(data)
    return chart


def growing(data: xr.Dataset, known: int) -> xr.Dataset:
    """Return the data as it is on its way: NaN from the position `known` on."""
    return data.where(data.time < known)


# ---------------------------------------------------------------------------------------------------------- reducing


def test_curves_are_means_with_their_interval_and_single_seeds() -> None:
    data = results()
    series = views.reduce(data, CURVES, ARMS)
    assert [one.label for one in series] == list(ARMS)
    for one in series:
        values = data.score.sel(arm=one.label).values
        np.testing.assert_array_equal(one.seeds, values)
        np.testing.assert_allclose(one.mean, values.mean(0))
        low, high = scipy.stats.t.interval(0.95, 5, values.mean(0), scipy.stats.sem(values))
        np.testing.assert_allclose((one.low, one.high), (low, high))
        np.testing.assert_array_equal(one.x, data.time)


def test_one_position_of_a_further_axis_is_chosen_by_name() -> None:
    data = results()
    plain, deep = (
        views.reduce(data, panel, ARMS)[2].mean for panel in (CURVES, Curves("?", ["deep"], at={"kind": "b"}))
    )
    np.testing.assert_allclose(deep, 10 * plain)
    with pytest.raises(ValueError, match="needs one axis"):
        views.reduce(data, Curves("Which?", ["deep"]), ARMS)


def test_labels_name_what_differs() -> None:
    data = results()

    def labels(panel: views.Panel) -> list[str]:
        return [one.label for one in views.reduce(data, panel, ARMS)]

    assert labels(Curves("?", ["score"], ["odd", "plain"])) == ["odd", "plain"]
    assert labels(Curves("?", ["score", "loss"], ["odd"])) == ["score", "loss"]
    assert labels(Curves("?", ["score", "loss"], ["odd", "new"]))[:2] == ["odd, score", "new, score"]
    assert labels(PARTS) == ["up", "down"]


NUMBERS = {0: "0", 0.5: "0.50", -1.234: "−1.23", 0.0123456: "0.0123", -1e-5: "−1e−05", 1234.5: "1.23e+03"}


@pytest.mark.parametrize(("value", "text"), [*NUMBERS.items(), (float("nan"), "none")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert views.number(value) == text


# ------------------------------------------------------------------------------------------------------------- looks


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_roles_differ_in_color_and_in_line_or_marker() -> None:
    looks = [views.BASELINE, views.METHOD, *views.FURTHER]
    for one, other in itertools.combinations(looks, 2):
        assert one.color != other.color and one.marker != other.marker
    assert len({str(look.line) for look in looks[2:]}) == len(looks[2:])
    assert len({hatch for _, hatch in views.LAYERS}) == len({color for color, _ in views.LAYERS}) == len(views.LAYERS)


def test_labels_can_be_read_on_white() -> None:
    for look in (views.BASELINE, views.METHOD, *views.FURTHER):
        assert 1.05 / (luminance(look.ink) + 0.05) >= 4.5, look.ink


def test_a_role_looks_the_same_whatever_stands_beside_it() -> None:
    assert views.styles(ARMS)["new"] == views.styles({"x": "method"})["x"] == views.METHOD
    assert views.styles(ARMS)["plain"] == views.BASELINE and views.styles(ARMS)["odd"] == views.FURTHER[0]


# ------------------------------------------------------------------------------------------------------------ drawing


def test_a_picture_has_two_sizes_and_says_the_final_numbers() -> None:
    data = results()
    drawn = views.draw(data, VIEW, ARMS)
    wide, narrow = (Image.open(io.BytesIO(png)) for png in (drawn.wide, drawn.narrow))
    assert wide.format == narrow.format == "PNG"
    assert wide.size == (7.6 * views.PAGE_DPI, 2.7 * views.PAGE_DPI)
    assert narrow.size == (3.8 * views.PAGE_DPI, 5.4 * views.PAGE_DPI)
    for arm in ARMS:
        assert f"ends at {views.number(float(data.score.sel(arm=arm).mean('seed')[-1]))}" in drawn.alt
    assert "Which is higher?" in drawn.alt and "Where does it go?" in drawn.alt and "mean of 6 seeds" in drawn.alt
    assert drawn.html.count("data:image/png;base64,") == 2 and 'alt="' in drawn.html


def test_a_picture_without_results_says_so() -> None:
    assert "no data" in views.draw(growing(results(), 0), VIEW, ARMS).alt


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

    drawn = views.picture(plot, "nothing")
    assert widths == [views.WIDE, views.NARROW] and drawn.alt == "An empty picture: nothing."
    assert Image.open(io.BytesIO(drawn.wide)).size == (7.6 * views.PAGE_DPI, 3.2 * views.PAGE_DPI)


# ---------------------------------------------------------------------------------------------------------- sentences


def said(effect: float, seeds: int = 6) -> str:
    data = results(seeds, effect=effect)
    data["score"][1] = data.score[0] + effect + np.linspace(-0.05, 0.06, seeds)[:, None]
    return views.sentence(data, "score", ARMS)


def test_a_clear_difference_is_said_with_its_direction() -> None:
    for effect, word in ((0.3, "higher"), (-0.3, "lower")):
        text = said(effect)
        for part in (word, "plain", "new", "6 seeds", "At time 8", "score", "95 % interval"):
            assert part in text
        assert "no clear difference" not in text


def test_an_interval_around_zero_is_no_clear_difference() -> None:
    text = said(0.0)
    for part in ("no clear difference", "plain", "new", "6 seeds", "may be chance"):
        assert part in text


def test_one_seed_may_be_chance() -> None:
    assert "one seed gives no interval, so this may be chance" in said(0.3, seeds=1)


def test_the_sentence_says_the_numbers() -> None:
    data = results()
    last = data.score.isel(time=-1).mean("seed")
    text = views.sentence(data, "score", ARMS)
    for arm in ("plain", "new"):
        assert views.number(float(last.sel(arm=arm))) in text
    assert views.sentence(growing(data, 0), "score", ARMS) == "Nothing to report yet."
    assert f"At time 8: score {views.number(float(last.mean()))}" not in text
    assert "At time 3" in views.sentence(growing(data, 4), "score", ARMS)


def test_without_a_pair_of_arms_the_sentence_says_the_mean() -> None:
    data = results().sel(arm="new").drop_vars("arm")
    assert "score 0.7" in views.sentence(data, "score", {})
