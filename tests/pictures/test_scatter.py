"""Scatter: a mark lies where both variables say, and the line is the one that is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_replay import CLOUD, ITEMS, WEIGHTS, Made, payload
from made_results import growing

from reglab.pictures import Scatter, View
from reglab.pictures.chart import Chart
from reglab.pictures.panel import uses
from reglab.pictures.words import number


def test_marks_are_the_last_results_of_every_seed() -> None:
    data = Made().run(4)
    for known, last in ((11, 10), (2, 1)):
        for marks in CLOUD.marks(growing(data, known), Made.arms):
            there = data.sel(arm=marks.label, time=last)
            np.testing.assert_array_equal(marks.x, there["size"])
            np.testing.assert_array_equal(marks.y, there["score"])
    assert all(np.isnan(marks.x).all() for marks in CLOUD.marks(growing(data, 0), Made.arms))


def test_marks_of_items_belong_together() -> None:
    data = Made().run(2)
    plain, new = ITEMS.marks(data, Made.arms)
    assert (plain.label, new.label) == ("plain", "new") and len(plain.x) == 2 * WEIGHTS
    np.testing.assert_array_equal(new.x, data.start.sel(arm="new").values.ravel())
    np.testing.assert_array_equal(new.y, data.weight.sel(arm="new", time=10).values.ravel())


def test_a_variable_without_the_axis_of_items_is_the_same_for_all_of_them() -> None:
    data = Made().run(3)
    (marks,) = Scatter("?", "size", "weight", "item", arms=["new"]).marks(data, Made.arms)
    np.testing.assert_array_equal(marks.x, np.repeat(data["size"].sel(arm="new", time=10).values, WEIGHTS))
    data["weight"][..., 5] = np.nan
    (marks,) = Scatter("?", "size", "weight", "item", arms=["new"]).marks(data, Made.arms)
    assert np.array_equal(np.isnan(marks.x), np.isnan(marks.y)) and np.isnan(marks.x).sum() == 3


def test_the_line_by_hand_and_by_numpy() -> None:
    data = Made().run(4)
    marks = CLOUD.marks(data, Made.arms)
    x, y = (np.concatenate([getattr(one, name) for one in marks]) for name in ("x", "y"))
    assert CLOUD.straight(marks) == pytest.approx(tuple(np.polyfit(x, y, 1)))
    assert ITEMS.straight(marks) == (1, 0)
    assert Scatter("?", "size", "score", line=(2, -1)).straight(marks) == (2, -1)
    assert Scatter("?", "size", "score").straight(marks) is None
    assert CLOUD.straight(CLOUD.marks(growing(data, 0), Made.arms)) is None, "without results there is nothing to fit"


def test_the_artist_shows_marks_line_pinned_run_and_growing_seeds() -> None:
    data, view = Made().run(4), View("Marks", (CLOUD, ITEMS))
    chart = Chart(growing(data, 0), view, Made.arms)
    assert "no data" in chart.describe()
    pinned = Made(decay=1.0).run(4)
    chart.update(data, pinned=pinned, growing=growing(data, 2))
    axes = chart.figure.axes[0]
    drawn = [np.asarray(line.get_xydata()) for line in axes.lines]
    for run in (data.isel(time=-1), pinned.isel(time=-1), data.isel(time=1)):
        for arm in Made.arms:
            marks = np.column_stack([run["size"].sel(arm=arm), run["score"].sel(arm=arm)])
            assert any(one.shape == marks.shape and np.allclose(one, marks) for one in drawn), arm
    (line,) = (line for line in axes.lines if line.get_color() == "black")
    found = CLOUD.straight(CLOUD.marks(data, Made.arms))
    assert found is not None
    ends = np.asarray(line.get_xydata())
    np.testing.assert_allclose(ends[:, 1], found[0] * ends[:, 0] + found[1])
    legend: Any = axes.get_legend()
    texts = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    assert texts == list(Made.arms) and len({one.get_marker() for one in legend.legend_handles}) == 5
    assert f"slope {number(found[0])}, intercept {number(found[1])}" in chart.describe()
    x, y = data["size"].sel(arm="new", time=10), data["score"].sel(arm="new", time=10)
    assert f"new 4 marks, mean at ({number(float(x.mean()))}, {number(float(y.mean()))})" in chart.describe()
    chart.update(data)
    assert sum(len(np.asarray(line.get_xdata())) for line in axes.lines) == 4 * 5 + 2


def test_a_logarithmic_x_axis_has_plain_numbers_and_leaves_out_what_is_not_above_zero() -> None:
    data, panel = Made().run(4), Scatter("?", "size", "score", log=True)
    data["size"].values[:] = 10.0 ** np.linspace(-3, -1, data["size"].size).reshape(data["size"].shape)
    data["size"].loc[{"arm": "new", "seed": 0}] = 0
    chart = Chart(data, View("Marks", (panel,)), Made.arms)
    chart.png(dpi=40)
    axes = chart.figure.axes[0]
    assert axes.get_xscale() == "log" and axes.get_yscale() == "linear"
    low, high = axes.get_xlim()
    texts = {text.get_text() for text in axes.get_xticklabels() if low <= text.get_position()[0] <= high}
    assert {"0.002", "0.01", "0.05"} <= texts
    marks = {one.label: one for one in panel.marks(data, Made.arms)}
    assert np.isnan(marks["new"].x[0]) and np.isfinite(marks["new"].x[1:]).all()
    assert low < np.nanmin([one.x for one in marks.values()]) and high > np.nanmax([one.x for one in marks.values()])
    assert "new 3 marks" in chart.describe()


def test_items_are_not_thinned_and_without_items_the_end_is_enough() -> None:
    found = uses(Made)
    assert found["start"].items == {"item"} and found["start"].cloud and found["start"].arms == {"plain", "new"}
    assert not found["size"].whole and not found["size"].items


def test_the_chart_of_the_site_knows_both_variables_and_the_line() -> None:
    panels = {panel["question"]: panel for view in payload()["views"] for panel in view["panels"]}
    cloud, items = panels[CLOUD.question], panels[ITEMS.question]
    assert [(line["variable"], line["across"]["variable"]) for line in cloud["lines"]] == [("score", "size")] * 5
    assert cloud["straight"] == "fit" and items["straight"] == (1, 0) and items["expected"] == "y = x"
    assert (items["x"], items["y"], items["items"]) == ("weight at the start (mV)", "weight (mV)", "item")
