"""Images: every picture is drawn pixel by pixel in one range of grey."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from made_replay import FILM, PICTURES, Made, payload
from made_results import growing

from reglab.pictures import Images, View
from reglab.pictures.chart import Chart
from reglab.pictures.images import size, tiles
from reglab.pictures.panel import uses
from reglab.pictures.words import number


def test_pictures_are_those_of_the_last_position_and_the_first_seed() -> None:
    data = Made().run(2)
    values, names, when = PICTURES.pictures(growing(data, 2))
    np.testing.assert_array_equal(values, data.picture.sel(time=1))
    assert names == list(Made.arms) and when == "time 1"
    seeds = data.picture.expand_dims(seed=2).copy()
    seeds[1] = 0
    np.testing.assert_array_equal(PICTURES.pictures(data.assign(picture=seeds))[0], data.picture.sel(time=10))
    film, names, when = FILM.pictures(data)
    np.testing.assert_array_equal(film, data.picture.sel(arm="new"))
    assert names == ["time 0 s", "time 1 s", "time 2 s", "time 5 s", "time 10 s"] and not when
    some = Images("?", "picture", arms=["random", "new"], at={"time": 0}).pictures(data)[0]
    np.testing.assert_array_equal(some, data.picture.sel(time=0, arm=["random", "new"]))
    with pytest.raises(ValueError, match=r"name one of .* along 'arm'"):
        Images("?", "picture", by="time").pictures(data)


def test_the_artist_shows_the_pixels_in_one_range() -> None:
    data = Made().run(1)
    chart = Chart(growing(data, 0), View("Both", (PICTURES, FILM)), Made.arms)
    assert chart.describe().count("no data") == 2
    chart.update(data)
    for axes, panel in zip(chart.figure.axes, (PICTURES, FILM), strict=True):
        values = panel.pictures(data)[0].values
        assert len(axes.images) == len(values)
        for image, picture in zip(axes.images, values, strict=True):
            np.testing.assert_array_equal(np.asarray(image.get_array()), picture)
            assert image.get_clim() == (0, 1) and image.get_cmap().name == "gray"
    said = chart.describe()
    for arm in Made.arms:
        assert f"{arm} mean {number(float(data.picture.sel(arm=arm, time=10).mean()))}" in said
    assert "black 0, white 1.00; first seed, time 10" in said and "5 pictures of 8 × 6 pixels" in said


@pytest.mark.parametrize(("count", "ratio"), [(1, 1), (2, 0.5), (5, 4 / 3), (10, 1), (12, 3)])
@pytest.mark.parametrize("room", [(360, 200), (740, 200), (360, 500)])
def test_pictures_keep_their_shape_and_lie_beside_each_other_in_their_room(
    count: int, ratio: float, room: tuple[float, float]
) -> None:
    found = tiles([f"arm number {i}" for i in range(count)], ratio, *room)
    width, height = size(found)
    assert width <= room[0] + 1 and height <= room[1] + 1
    for one in found:
        assert one.width / one.height == pytest.approx(ratio) and one.top >= 14 * len(one.name)
    for one, other in itertools.combinations(found, 2):
        beside = one.left + one.width <= other.left or other.left + other.width <= one.left
        above = one.top + one.height <= other.top - 14 * len(other.name)
        assert beside or above or other.top + other.height <= one.top - 14 * len(one.name)


def test_pixels_and_steps_of_a_film_are_items_that_no_recording_thins() -> None:
    use = uses(Made)["picture"]
    assert use.cloud and use.items == {"time", "row", "column"} and use.limits == (0, 1)


def test_the_chart_of_the_site_has_a_place_for_each_picture() -> None:
    panels = {panel["question"]: panel for view in payload()["views"] for panel in view["panels"]}
    found = panels[PICTURES.question]
    assert [tile["label"] for tile in found["tiles"]] == [line["label"] for line in found["lines"]] == list(Made.arms)
    assert found["axes"] == ["row", "column"] and found["x"] == "brightness: black 0, white 1.00; first seed"
    assert panels[FILM.question]["by"] == "time" and len(panels[FILM.question]["tiles"]) == 5
    assert [line["at"] for line in panels[FILM.question]["lines"]] == [{"arm": 1}]
