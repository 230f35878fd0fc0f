"""Shares: bands that lie on each other and fill the axes."""

from __future__ import annotations

import numpy as np
from made_results import ARMS, PARTS, growing, results

from reglab.pictures import View
from reglab.pictures.chart import Chart


def test_bands_are_the_means_from_below() -> None:
    data = results()
    chart = Chart(growing(data, 4), View("Parts", (PARTS,)), ARMS)
    chart.update(data, pinned=results(effect=0.1))
    axes = chart.figure.axes[0]
    up = data.up.sel(arm="new").mean("seed").values
    lower, upper = (np.asarray(band.get_paths()[0].vertices) for band in axes.collections)
    times = len(up)
    np.testing.assert_allclose(lower[:times, 1], 0)
    np.testing.assert_allclose(lower[times : 2 * times, 1], up[::-1])
    np.testing.assert_allclose(upper[:times, 1], up)
    np.testing.assert_allclose(upper[times : 2 * times, 1], 1)
    assert axes.get_ylim() == (0, 1)
    (old,) = (np.asarray(line.get_ydata()) for line in axes.lines if len(np.asarray(line.get_ydata())))
    np.testing.assert_allclose(old, results(effect=0.1).up.sel(arm="new").mean("seed"))
    assert "Stacked shares against time (s), mean of 6 seeds: up starts at" in chart.describe()
