"""The map of costs: its numbers are those that are recorded, for the arms that each page compares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reglab import catalogue
from reglab.pictures import Scatter
from reglab.recordings import store
from reglab.site import costs

PARTS = [part for part in catalogue.PARTS if any(name.startswith(f"{part}/") for name in catalogue.SLUGS)]
PLACES = {place.paper.name: place for part in PARTS for place in costs.places(part)}


def panel(name: str) -> tuple[type, Scatter]:
    """The picture of cost on a paper's page, and the experiment that it shows."""
    for kind in catalogue.experiments(name):
        for view in kind.views:
            for one in view.panels:
                if isinstance(one, Scatter) and one.y == costs.CHANGE:
                    return kind, one
    raise AssertionError(f"{name} has no picture of cost")


@pytest.mark.parametrize("name", PLACES)
def test_the_numbers_are_those_of_the_recording(name: str) -> None:
    kind, shown = panel(name)
    recorded = store.at(kind())
    assert recorded is not None
    assert [track.arm for track in PLACES[name].tracks] == list(shown.arms)
    for track in PLACES[name].tracks:
        cost, change = (recorded[one].sel(arm=track.arm) for one in (shown.x, costs.CHANGE))
        defaults = [point for point in track.points if point.default]
        wanted = change.transpose("seed", ...).values.reshape(change.sizes["seed"], -1)
        points = defaults or track.points
        for point in points:
            values = wanted[:, np.abs(wanted.mean(0) - point.change).argmin()]
            assert point.change == pytest.approx(values.mean(), abs=1e-9)
            if values.std() > 0:
                ends = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
                assert (point.low, point.high) == pytest.approx(ends, abs=1e-9)
        places = np.atleast_1d(cost.mean("seed").values)
        assert {round(point.cost, 9) for point in points} == set(places.round(9).tolist())
        assert [point.cost for point in track.points] == sorted(point.cost for point in track.points)


def test_a_part_says_what_its_picture_shows() -> None:
    for part in PARTS:
        text, found = costs.written(part), [place for name, place in PLACES.items() if name.startswith(f"{part}/")]
        assert bool(text) == bool(found)
        for place in found:
            assert f"{place.paper.short}, {place.cost}: " in text and all(track.arm in text for track in place.tracks)
    assert costs.written("none") == ""
