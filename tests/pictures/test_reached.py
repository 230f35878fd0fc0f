"""How far results have come: one answer for pictures, sentences, tables and the website."""

from __future__ import annotations

import numpy as np
import pytest
from made_results import growing, results

from reglab.pictures.reached import latest, reached


def test_positions_with_any_and_with_all_results() -> None:
    data = growing(results(), 4)
    data["score"][0, 0, 3] = np.nan
    assert reached(data.score, "time").tolist() == [0, 1, 2, 3]
    assert reached(data.score, "time", by_all=True).tolist() == [0, 1, 2]
    assert not len(reached(growing(data, 0).score, "time"))


def test_the_latest_results_and_where_they_are() -> None:
    data = growing(results(), 4)
    last, when = latest(data.score, "arm", "seed")
    np.testing.assert_array_equal(last, data.score.isel(time=3))
    assert when == "time 3"
    assert latest(last, "arm", "seed") == (last, "")
    np.testing.assert_array_equal(latest(growing(data, 0).score, "arm", "seed")[0], np.full((3, 6), np.nan))
    with pytest.raises(ValueError, match="one axis is left at most"):
        latest(data.deep, "arm", "seed")
    with pytest.raises(ValueError, match=r"score: name one of \['plain', 'new', 'odd'\] along 'arm'"):
        latest(data.score, "time", "seed")
