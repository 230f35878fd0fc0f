"""Curves: what is drawn is the mean, the interval and the seeds; theory, log axes, labels that do not overlap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from made_results import ARMS, CURVES, LOG, PARTS, growing, results

from reglab import catalogue
from reglab.experiment import Experiment
from reglab.pictures import Curves, Shares, View
from reglab.pictures.chart import Chart
from reglab.pictures.style import NARROW, WIDE
from reglab.recordings import store

KINDS = [kind for name in catalogue.SLUGS for kind in catalogue.experiments(name) if kind.grid]


def test_curves_are_means_with_their_interval_and_single_seeds() -> None:
    data = results()
    series = CURVES.series(data, ARMS)
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
    plain, deep = (panel.series(data, ARMS)[2].mean for panel in (CURVES, Curves("?", ["deep"], at={"kind": "b"})))
    np.testing.assert_allclose(deep, 10 * plain)
    with pytest.raises(ValueError, match="needs one axis"):
        Curves("Which?", ["deep"]).series(data, ARMS)


def test_labels_name_what_differs() -> None:
    data = results()

    def labels(panel: Curves | Shares) -> list[str]:
        return [one.label for one in panel.series(data, ARMS)]

    assert labels(Curves("?", ["score"], ["odd", "plain"])) == ["odd", "plain"]
    assert labels(Curves("?", ["score", "loss"], ["odd"])) == ["score", "loss"]
    assert labels(Curves("?", ["score", "loss"], ["odd", "new"]))[:2] == ["odd, score", "new, score"]
    assert labels(PARTS) == ["up", "down"]


@pytest.mark.parametrize(("log", "named"), [(0, ["0", "", "2", "10", "60"]), (1, ["0", "1", "2", "10", "60"])])
def test_few_positions_are_named_but_for_those_too_near_to_another(log: int, named: list[str]) -> None:
    data = results().isel(time=slice(5)).assign_coords(time=[0, 1, 2, 10, 60])
    data["time"].attrs |= {"long_name": "time", "units": "1", "log": log}
    (axes,) = Chart(data, View("Near", (CURVES,), 1), ARMS).figure.axes
    assert axes.get_xticks().tolist() == [0, 1, 2, 10, 60]
    assert [label.get_text() for label in axes.get_xticklabels()] == named


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_names_of_positions_stand_apart(width: float) -> None:
    data = results().isel(time=slice(6)).assign_coords(time=[0.3, 0.45, 0.55, 0.9, 1.5, 3])
    data["time"].attrs |= {"long_name": "scale", "units": "1", "log": 1}
    chart = Chart(data, View("Near", (CURVES, CURVES), 2), ARMS, width)
    chart.png()
    for axes in chart.figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        assert len(boxes) >= 4 and all(a.x1 + 2 <= b.x0 for a, b in itertools.pairwise(boxes))


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


def test_the_highest_mean_has_a_star_and_the_label_of_its_line_says_how_high_it_is() -> None:
    data = results()
    (axes,) = Chart(data, View("One", (CURVES,), columns=1), ARMS).figure.axes
    means = data.score.sel(arm="plain").mean("seed")
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    assert star.get_ydata() == [float(means.max())] and star.get_xdata() == [int(means.values.argmax())]
    assert f"plain\n★ best {float(means.max()):.2f}" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_in_no_picture_of_a_paper_labels_of_lines_or_ticks_overlap(kind: type[Experiment], width: float) -> None:
    """Labels of lines stand right of the axes, where no line is, and inside the picture; ticks below, apart."""
    data = store.at(kind())
    assert data is not None
    for view in kind.views:
        panels = tuple(panel for panel in view.panels if isinstance(panel, Curves))
        chart = Chart(data, View(view.title, panels, view.columns, view.height), kind.arms, width) if panels else None
        if chart is None:
            continue
        chart.png()
        for axes, panel in zip(chart.figure.axes, panels, strict=False):
            labels = [text for text in axes.texts if text.get_transform() is axes.transAxes]
            assert len(labels) == len(panel.series(data, kind.arms))
            seen = [text for text in labels if text.get_text() and text.get_visible() and text.get_alpha() != 0]
            boxes = sorted((text.get_window_extent() for text in seen), key=lambda box: box.y0)
            room, point = axes.get_window_extent(), chart.figure.dpi / 72
            for box in boxes:
                assert room.x1 <= box.x0 and box.x1 <= chart.figure.bbox.width + point, axes.get_title()
            for below, above in itertools.pairwise(boxes):
                assert below.y1 <= above.y0 + 2 * point, axes.get_title()
            ticks = [tick.label1 for tick in axes.xaxis.get_major_ticks() if tick.label1.get_text()]
            for left, right in itertools.pairwise([text.get_window_extent() for text in ticks]):
                assert left.x1 + 2 * point <= right.x0, axes.get_title()


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


def test_labels_of_lines_that_end_at_the_top_rise_above_the_axes_by_half_a_line() -> None:
    data = results().assign_coords(arm=np.array(["a rather long name of an arm", "new", "odd"], dtype=object))
    data["score"][:] = 1.0
    data.score.attrs.update(low=0.0, high=1.0)
    chart = Chart(data, View("One", (Curves("Which is higher?", ["score"]),), columns=1),
                  {"a rather long name of an arm": "baseline", "new": "method", "odd": "ablation"})  # fmt: skip
    chart.png()
    (axes,) = chart.figure.axes
    labels = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(labels) == 3
    half = 8 * chart.figure.dpi / 72
    assert max(box.y1 for box in labels) <= axes.get_window_extent().y1 + half


def test_labels_stay_inside_a_picture_that_was_empty_at_first() -> None:
    data, view = results(), View("One", (CURVES,), columns=1)
    chart = Chart(growing(data, 0), view, ARMS)
    chart.png()
    chart.update(growing(data, 5), final=False)
    chart.png()
    texts = [text for text in chart.figure.axes[0].texts if text.get_text()]
    ends = {text.get_text().split("\n")[0]: text.get_window_extent().x1 for text in texts}
    assert {"plain", "new", "odd"} <= set(ends)
    assert max(ends.values()) <= chart.figure.bbox.width
