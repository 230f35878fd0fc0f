"""Points: a film of a cloud in the plane."""

from __future__ import annotations

import numpy as np
from made_results import ARMS, POINTS, growing, results

from reglab.pictures.chart import Chart


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
