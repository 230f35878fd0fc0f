"""Histogram: shares by hand, the same bins for all arms, steps that the artist draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_replay import SPREAD, Made, grid, payload
from made_results import growing

from reglab.pictures import Histogram, View
from reglab.pictures.chart import Chart
from reglab.pictures.histogram import shares, stepped
from reglab.pictures.panel import uses
from reglab.pictures.words import number


def test_shares_by_hand() -> None:
    edges = np.array([0.0, 1, 2, 3])
    values = np.array([[0, 0.5, 1, 3], [-5, 2.5, 9, np.nan], [np.nan] * 4])
    expected = [[0.5, 0.25, 0.25], [1 / 3, 0, 2 / 3], [np.nan] * 3]
    np.testing.assert_allclose(shares(values, edges), expected)
    np.testing.assert_array_equal(stepped(edges), [0, 0.5, 1, 1, 1.5, 2, 2, 2.5, 3])


def test_inside_its_ends_it_is_numpys_histogram() -> None:
    values = np.random.default_rng(0).normal(size=500)
    edges = np.linspace(values.min(), values.max(), 18)
    np.testing.assert_allclose(shares(values, edges), np.histogram(values, edges)[0] / 500)


def test_ends_are_given_or_declared_or_those_of_the_values() -> None:
    values, declared = np.array([1.0, 3, np.nan]), {"low": 0, "high": 4}
    for panel, attributes, ends in (
        (Histogram("?", "weight", "item", bins=2), {}, [1, 2, 3]),
        (Histogram("?", "weight", "item", bins=2), declared, [0, 2, 4]),
        (Histogram("?", "weight", "item", bins=2, limits=(-1, 1)), declared, [-1, 0, 1]),
    ):
        np.testing.assert_array_equal(panel.edges(values, attributes), ends)
    np.testing.assert_array_equal(Histogram("?", "w", "i", bins=2).edges(np.array([2.0, 2]), {}), [1.5, 2, 2.5])


def test_the_artist_draws_the_mean_share_of_every_bin_with_its_interval() -> None:
    data = Made().run(5)
    chart = Chart(growing(data, 0), View("One", (SPREAD,)), Made.arms)
    assert "plain: no data" in chart.describe()
    chart.update(data)
    axes = chart.figure.axes[0]
    values = data.weight.sel(time=10)
    edges = np.linspace(float(values.min()), float(values.max()), 13)
    assert axes.get_xlim() == pytest.approx((edges[0], edges[-1])) and axes.get_ylim()[0] == 0
    drawn = [np.asarray(line.get_xydata()) for line in axes.lines if len(np.asarray(line.get_xdata()))]
    legend: Any = axes.get_legend()
    assert len(drawn) == 5 and len({line.get_marker() for line in legend.get_lines()}) == 5
    for arm, line in zip(Made.arms, drawn, strict=True):
        counts = [np.histogram(values.sel(arm=arm, seed=seed), edges)[0] for seed in range(5)]
        np.testing.assert_allclose(line[:, 1], np.repeat(np.mean(counts, 0) / 60, 3))
        np.testing.assert_allclose(line[:, 0], stepped(edges))
        assert line[:, 1].sum() / 3 == pytest.approx(1)
    most = drawn[1][:, 1].argmax()
    low, high, share = (number(one) for one in (drawn[1][most, 0], drawn[1][most + 2, 0], drawn[1][most, 1]))
    assert f"most from {low} to {high} (share {share})" in chart.describe() and "mean of 5 seeds" in chart.describe()


def test_a_pinned_run_has_the_same_bins() -> None:
    data, pinned = Made().run(4), Made(decay=0.0).run(4)
    chart = Chart(data, View("One", (SPREAD,)), Made.arms)
    chart.update(data, pinned=pinned)
    lines = [np.asarray(line.get_xydata()) for line in chart.figure.axes[0].lines]
    both = [one for one in lines if len(one)]
    assert len(both) == 10 and all(np.array_equal(one[:, 0], both[0][:, 0]) for one in both)
    assert both[0][0, 0] == min(data.weight.sel(time=10).min(), pinned.weight.sel(time=10).min())
    chart.update(data)
    assert sum(len(np.asarray(line.get_xdata())) > 0 for line in chart.figure.axes[0].lines) == 5


def test_items_are_not_thinned() -> None:
    assert uses(Made)["weight"].items == {"item"} and uses(Made)["weight"].arms == set(Made.arms)


def test_the_chart_of_the_site_has_the_bins_of_all_settings() -> None:
    (panel,) = (one for view in payload()["views"] for one in view["panels"] if one["question"] == SPREAD.question)
    weight = grid().weight
    np.testing.assert_allclose(panel["edges"], np.linspace(float(weight.min()), float(weight.max()), 13))
    scales = {scale["name"]: scale for scale in panel["spec"]["scales"]}
    assert scales["x"]["domain"] == pytest.approx([float(weight.min()), float(weight.max())])
    assert scales["y"]["domain"][0] == 0 and len(set(scales["shape"]["range"])) == 5
