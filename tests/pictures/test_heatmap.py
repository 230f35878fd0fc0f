"""Heatmap: a cell is the mean over seeds at its place, in the colour that the bar says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from made_replay import ARMS_HEAT, HEAT, LAST, Made, grid, payload
from made_results import growing

from reglab.pictures import Heatmap, View
from reglab.pictures.chart import Chart
from reglab.pictures.panel import Read
from reglab.pictures.words import number
from reglab.statistics import mean_interval


def small() -> xr.Dataset:
    """Return a variable [seed, time, depth] = 100 seed + 10 time + depth, with a hole."""
    values = 100.0 * np.arange(2)[:, None, None] + 10 * np.arange(3)[:, None] + np.arange(2)
    values[:, 2, 1] = np.nan
    dims, units = ("seed", "time", "depth"), {"units": "V", "long_name": "field"}
    places = {"time": ("time", [0.5, 1.0, 4.0], {"units": "s", "long_name": "time"}),
              "depth": ("depth", [1, 2], {"units": "1", "long_name": "depth"})}  # fmt: skip
    return xr.Dataset({"field": (dims, values, units)}, places)


def test_cells_are_means_by_hand() -> None:
    cells = Heatmap("?", "field", "time", "depth").cells(small())
    np.testing.assert_array_equal(cells.mean, [[50, 60, 70], [51, 61, np.nan]])
    assert (cells.x, cells.y, cells.seeds, cells.when) == (["0.5", "1", "4"], ["1", "2"], 2, "")
    low = mean_interval([0.0, 100.0])[1]
    assert cells.low[0, 0] == pytest.approx(float(low))
    turned = Heatmap("?", "field", "depth", "time").cells(small())
    np.testing.assert_array_equal(turned.mean, cells.mean.T)


def test_the_last_results_of_a_further_axis_are_shown_and_arms_must_be_chosen() -> None:
    data = Made().run(3)
    cells = LAST.cells(growing(data, 2))
    assert cells.when == "time 1" and cells.y == list(Made.arms)
    np.testing.assert_allclose(cells.mean, data.field.sel(time=1).mean("seed").values)
    chosen = Heatmap("?", "field", "depth", arms=["random", "new"]).cells(data)
    np.testing.assert_allclose(chosen.mean, data.field.sel(time=10, arm=["random", "new"]).mean("seed").values)
    with pytest.raises(ValueError, match=r"name one of .*'plain'.* along 'arm'"):
        Heatmap("?", "field", "time", "depth").cells(data)


def test_the_mesh_has_the_means_and_the_bar_their_ends() -> None:
    data = Made().run(3)
    chart = Chart(growing(data, 0), View("One", (HEAT, LAST)), Made.arms)
    assert chart.describe().count("no data") == 2
    chart.update(growing(data, 2), final=False)
    chart.update(data)
    (mesh,), (fixed,) = (axes.collections for axes in chart.figure.axes[:2])
    expected = data.field.sel(arm="new").mean("seed").transpose("depth", "time").values
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(expected.shape), expected)
    most = abs(expected).max()
    assert mesh.get_clim() == pytest.approx((-most, most)), "zero is in the middle"
    assert fixed.get_clim() == (-1, 1)
    middle = mesh.to_rgba(np.zeros(1))[0]
    assert (middle[:3] > 0.95).all(), "zero is white"
    bars = [axes for axes in chart.figure.axes[0].child_axes]
    assert bars[0].get_ylabel() == "field (V)" and bars[0].get_ylim() == pytest.approx((-most, most))


def test_the_words_name_the_ends_and_the_uncertainty() -> None:
    data = small()
    said = Chart(data, View("One", (Heatmap("Where?", "field", "time", "depth"),)), {}).describe()
    assert "lowest 50.00 (depth 1, time 0.5), highest 70.00 (depth 1, time 4)" in said
    half = float(mean_interval([0.0, 100.0])[2]) - 50
    assert f"95 % intervals at most ±{number(half)}" in said and "mean of 2 seeds" in said and "field (V)" in said


def test_a_chart_fits_only_the_same_cells() -> None:
    data, view = small(), View("One", (Heatmap("Where?", "field", "time", "depth"),))
    chart = Chart(data, view, {})
    assert chart.fits(data, view) and not chart.fits(data.isel(time=[0, 1]), view)


def test_what_it_reads() -> None:
    assert list(HEAT.reads()) == [Read("field", ["new"])]
    assert list(ARMS_HEAT.reads()) == [Read("score", ())]


def spec(question: str) -> dict[str, Any]:
    (panel,) = (one for view in payload()["views"] for one in view["panels"] if one["question"] == question)
    return panel


def test_the_chart_of_the_site_has_one_colour_for_one_number_over_all_settings() -> None:
    scales = {scale["name"]: scale for scale in spec(HEAT.question)["spec"]["scales"]}
    most = float(abs(grid().field.sel(arm="new").mean("seed")).max())
    assert scales["color"]["domain"] == pytest.approx([-most, most])
    assert scales["x"]["domain"] == list(range(5)) and scales["y"]["domain"] == [3, 2, 1, 0]
    panel = spec(ARMS_HEAT.question)
    assert panel["names"] == {"x": ["0", "1", "2", "5", "10"], "y": list(Made.arms)}
    assert [line["at"] for line in panel["lines"]] == [{"arm": i} for i in range(5)]
    assert panel["spec"]["legends"], "a bar says what the colours mean"


def test_all_names_of_a_side_are_labelled_but_only_some_numbers() -> None:
    names, said = np.array([f"f{i}" for i in range(7)], dtype=object), {"units": "1", "long_name": "one"}
    values, times = np.random.default_rng(0).random((2, 7, 7)), np.arange(7) / 10
    places = {"name": ("name", names, said), "time": ("time", times, said)}
    data = xr.Dataset({"field": (("seed", "name", "time"), values, said)}, places)
    axes = Chart(data, View("One", (Heatmap("?", "field", "time", "name"),)), {}).figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(names)
    assert len(axes.get_xticks()) == 6
