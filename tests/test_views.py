"""Results reduced to what is drawn and said: means, intervals, labels, looks, sentences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from made_results import ARMS, CURVES, PARTS, growing, results

from reglab.pictures import views
from reglab.pictures.views import Curves, Dots

# ---------------------------------------------------------------------------------------------------------- reducing


def test_curves_are_means_with_their_interval_and_single_seeds() -> None:
    data = results()
    series = views.reduce(data, CURVES, ARMS)
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
    plain, deep = (
        views.reduce(data, panel, ARMS)[2].mean for panel in (CURVES, Curves("?", ["deep"], at={"kind": "b"}))
    )
    np.testing.assert_allclose(deep, 10 * plain)
    with pytest.raises(ValueError, match="needs one axis"):
        views.reduce(data, Curves("Which?", ["deep"]), ARMS)


def test_labels_name_what_differs() -> None:
    data = results()

    def labels(panel: views.Curves | views.Shares) -> list[str]:
        return [one.label for one in views.reduce(data, panel, ARMS)]

    assert labels(Curves("?", ["score"], ["odd", "plain"])) == ["odd", "plain"]
    assert labels(Curves("?", ["score", "loss"], ["odd"])) == ["score", "loss"]
    assert labels(Curves("?", ["score", "loss"], ["odd", "new"]))[:2] == ["odd, score", "new, score"]
    assert labels(PARTS) == ["up", "down"]


def test_dots_are_the_last_results_of_every_arm() -> None:
    data = results()
    for known, last in ((9, 8), (4, 3)):
        found = views.rows(growing(data, known), Dots("Which?", "score"), ARMS)
        assert [row.label for row in found] == list(ARMS)
        for row in found:
            values = data.score.sel(arm=row.label, time=last).values
            np.testing.assert_array_equal(row.seeds, values)
            low, high = scipy.stats.t.interval(0.95, 5, values.mean(), scipy.stats.sem(values))
            np.testing.assert_allclose((row.mean, row.low, row.high), (values.mean(), low, high))
    (deep,) = views.rows(data, Dots("Which?", "deep", ["new"], at={"kind": "b"}), ARMS)
    np.testing.assert_allclose(deep.seeds, 10 * data.score.sel(arm="new").isel(time=-1))
    assert np.isnan(views.rows(growing(data, 0), Dots("Which?", "score"), ARMS)[0].mean)
    with pytest.raises(ValueError, match="one axis is left at most"):
        views.rows(data, Dots("Which?", "deep"), ARMS)


NUMBERS = {0: "0", 0.5: "0.50", -1.234: "−1.23", 0.0123456: "0.0123", -1e-5: "−1e−05", 1234.5: "1.23e+03"}


@pytest.mark.parametrize(("value", "text"), [*NUMBERS.items(), (float("nan"), "none")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert views.number(value) == text


# ------------------------------------------------------------------------------------------------------------- looks


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_roles_differ_in_color_and_in_line_or_marker() -> None:
    looks = [views.BASELINE, views.METHOD, *views.FURTHER]
    for one, other in itertools.combinations(looks, 2):
        assert one.color != other.color and one.marker != other.marker
    assert len({str(look.line) for look in looks[2:]}) == len(looks[2:])
    assert len({hatch for _, hatch in views.LAYERS}) == len({color for color, _ in views.LAYERS}) == len(views.LAYERS)


def test_labels_can_be_read_on_white() -> None:
    for look in (views.BASELINE, views.METHOD, *views.FURTHER):
        assert 1.05 / (luminance(look.ink) + 0.05) >= 4.5, look.ink


def test_a_role_looks_the_same_whatever_stands_beside_it() -> None:
    assert views.styles(ARMS)["new"] == views.styles({"x": "method"})["x"] == views.METHOD
    assert views.styles(ARMS)["plain"] == views.BASELINE and views.styles(ARMS)["odd"] == views.FURTHER[0]


# ---------------------------------------------------------------------------------------------------------- sentences


def said(effect: float, seeds: int = 6) -> str:
    data = results(seeds, effect=effect)
    data["score"][1] = data.score[0] + effect + np.linspace(-0.05, 0.06, seeds)[:, None]
    return views.sentence(data, "score", ARMS)


def test_a_clear_difference_is_said_with_its_direction() -> None:
    for effect, word in ((0.3, "higher"), (-0.3, "lower")):
        text = said(effect)
        for part in (word, "plain", "new", "6 seeds", "At time 8", "score", "95 % interval"):
            assert part in text
        assert "no clear difference" not in text


def test_an_interval_around_zero_is_no_clear_difference() -> None:
    text = said(0.0)
    for part in ("no clear difference", "plain", "new", "6 seeds", "may be chance"):
        assert part in text


def test_one_seed_may_be_chance() -> None:
    assert "one seed gives no interval, so this may be chance" in said(0.3, seeds=1)


def test_the_sentence_says_the_numbers() -> None:
    data = results()
    last = data.score.isel(time=-1).mean("seed")
    text = views.sentence(data, "score", ARMS)
    for arm in ("plain", "new"):
        assert views.number(float(last.sel(arm=arm))) in text
    assert views.sentence(growing(data, 0), "score", ARMS) == "Nothing to report yet."
    assert f"At time 8: score {views.number(float(last.mean()))}" not in text
    assert "At time 3" in views.sentence(growing(data, 4), "score", ARMS)


def test_without_a_pair_of_arms_the_sentence_says_the_mean() -> None:
    data = results().sel(arm="new").drop_vars("arm")
    assert "score 0.7" in views.sentence(data, "score", {})


def test_an_arm_without_the_headline_quantity_does_not_silence_the_sentence() -> None:
    data = results()
    text = views.sentence(data, "score", ARMS)
    data["score"][2] = np.nan
    assert views.sentence(data, "score", ARMS) == text
