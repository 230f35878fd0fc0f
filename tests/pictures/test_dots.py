"""Dots: every row is the last result of its arm, with all its seeds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from made_results import ARMS, DOTS, growing, results

from reglab.pictures import Dots, Line, View
from reglab.pictures.chart import Chart


def test_dots_are_the_last_results_of_every_arm() -> None:
    data = results()
    for known, last in ((9, 8), (4, 3)):
        found = Dots("Which?", "score").rows(growing(data, known), ARMS)
        assert [row.label for row in found] == list(ARMS)
        for row in found:
            values = data.score.sel(arm=row.label, time=last).values
            np.testing.assert_array_equal(row.seeds, values)
            low, high = scipy.stats.t.interval(0.95, 5, values.mean(), scipy.stats.sem(values))
            np.testing.assert_allclose((row.mean, row.low, row.high), (values.mean(), low, high))
    (deep,) = Dots("Which?", "deep", ["new"], at={"kind": "b"}).rows(data, ARMS)
    np.testing.assert_allclose(deep.seeds, 10 * data.score.sel(arm="new").isel(time=-1))
    assert np.isnan(Dots("Which?", "score").rows(growing(data, 0), ARMS)[0].mean)
    with pytest.raises(ValueError, match="one axis is left at most"):
        Dots("Which?", "deep").rows(data, ARMS)


def test_dots_say_mean_and_interval_and_show_every_seed() -> None:
    data = results()
    chart = Chart(data, DOTS, ARMS)
    axes, said = chart.figure.axes[0], chart.describe()
    assert [label.get_text() for label in axes.get_yticklabels()] == list(ARMS)
    for i, arm in enumerate(ARMS):
        values = data.score.sel(arm=arm).isel(time=-1)
        assert f"{arm} {values.mean():.3f} (95 % interval" in said
        clouds = [np.asarray(line.get_xydata()) for line in axes.lines]
        (seeds,) = [cloud for cloud in clouds if len(cloud) == 6 and abs(cloud[:, 1].mean() - i) < 0.1]
        np.testing.assert_allclose(seeds[:, 0], values)
    assert "mean of 6 seeds" in said


def test_a_line_stands_at_a_number_or_at_the_mean_of_a_variable() -> None:
    data = results()
    lines = [Line("x", 0.5, "half"), Line("x", "stop", "stop"), Line("x", "last", "best", arm="new")]
    data["last"] = data.loss.isel(time=-1).drop_vars("time")
    panel = Dots("Which?", "loss", lines=lines)
    assert [read.variable for read in panel.reads()] == ["loss", "stop", "last"]
    axes = Chart(data, View("Dots", (panel,)), ARMS).figure.axes[0]
    upright = {
        text.get_text(): text.get_position()[0] for text in axes.texts if text.get_text() in ("half", "stop", "best")
    }
    expected = {"half": 0.5, "stop": 3.0, "best": float(data["last"].sel(arm="new").mean())}
    assert upright == pytest.approx(expected)
    low, high = axes.get_xlim()
    assert all(low < place < high for place in upright.values())
