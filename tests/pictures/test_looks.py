"""Looks: roles differ in more than colour, their names can be read, and a role looks the same everywhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from made_results import ARMS

from reglab import catalogue
from reglab.pictures import style
from reglab.pictures.series import PALETTE

LOOKS = (*itertools.chain(*style.ROLES.values()), *style.FURTHER)


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_roles_differ_in_color_and_in_line_or_marker() -> None:
    for one, other in itertools.combinations(LOOKS, 2):
        assert one.color != other.color and one.marker != other.marker
    assert len({str(look.line) for look in LOOKS[2:]}) == len(LOOKS[2:])
    assert len({hatch for _, hatch in style.LAYERS}) == len({color for color, _ in style.LAYERS}) == len(style.LAYERS)


def test_labels_can_be_read_on_white() -> None:
    for look in LOOKS:
        assert 1.05 / (luminance(look.ink) + 0.05) >= 4.5, look.ink


def test_a_role_looks_the_same_whatever_stands_beside_it() -> None:
    assert style.styles(ARMS)["new"] == style.styles({"x": "method"})["x"] == style.METHOD
    assert style.styles(ARMS)["plain"] == style.BASELINE and style.styles(ARMS)["odd"] == style.FURTHER[0]
    assert style.styles({"a": "further", "b": "rival", "c": "null"}) == {
        "a": style.FURTHER[0], "b": style.RIVAL, "c": style.NULL
    }  # fmt: skip


def test_a_second_rival_and_a_second_null_have_looks_of_their_own() -> None:
    found = style.styles({"a": "rival", "b": "null", "c": "rival", "d": "null", "e": "further"})
    assert list(found.values()) == [*style.ROLES["rival"][:1], style.NULL, style.SECOND_RIVAL, style.SECOND_NULL,
                                    style.FURTHER[0]]  # fmt: skip


def test_vermilion_is_the_rivals_alone() -> None:
    assert style.RIVAL.color == "#D55E00"
    assert [look for look in LOOKS if look.color == style.RIVAL.color] == [style.RIVAL]
    assert style.RIVAL not in (*PALETTE, *style.FURTHER)


@pytest.mark.parametrize("name", catalogue.SLUGS)
def test_no_two_arms_of_an_experiment_look_the_same(name: str) -> None:
    for kind in catalogue.experiments(name):
        looks = style.styles(kind.arms)
        assert list(looks) == list(kind.arms) and len(set(map(str, looks.values()))) == len(looks)


def test_arms_that_would_look_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="2 arms are 'method': there are looks for 1"):
        style.styles({"a": "method", "b": "method"})
    with pytest.raises(ValueError, match="3 arms are 'null': there are looks for 2"):
        style.styles({"a": "null", "b": "null", "c": "null"})
    with pytest.raises(ValueError, match="there are looks for 5"):
        style.styles({str(i): "further" for i in range(6)})


def test_every_colour_has_one_for_a_dark_page_and_every_marker_a_shape() -> None:
    background = luminance("#14181e")
    for look in LOOKS:
        night = style.NIGHT[look.color]
        assert (luminance(night) + 0.05) / (background + 0.05) >= 3, night
        shape = style.SHAPES[look.marker]
        assert shape in style.SWATCHES or shape.startswith("M")
    assert len({style.NIGHT[look.color] for look in LOOKS}) == len(LOOKS)


@pytest.mark.parametrize("colors", [style.SEQUENTIAL, style.DIVERGING], ids=["sequential", "diverging"])
def test_colours_of_cells_rise_evenly_in_lightness(colors: tuple[str, ...]) -> None:
    lightness = np.array([116 * np.cbrt(luminance(color)) - 16 for color in colors])
    middle = 5 if colors is style.DIVERGING else 0
    steps = np.diff(lightness[middle:]) * (-1 if middle else 1)
    assert (steps > 0).all()
    if middle:
        assert lightness.argmax() == 5 and (np.diff(lightness[:6]) > 0).all()
    else:
        assert steps.max() < 1.5 * steps.min()
