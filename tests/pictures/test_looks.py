"""Looks: roles differ in more than colour, their names can be read, and a role looks the same everywhere."""

from __future__ import annotations

import itertools

import numpy as np
from made_results import ARMS

from reglab.pictures import style

LOOKS = (*style.ROLES.values(), *style.FURTHER)


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_roles_differ_in_color_and_in_line_or_marker() -> None:
    looks = [style.BASELINE, style.METHOD, *style.FURTHER]
    for one, other in itertools.combinations(looks, 2):
        assert one.color != other.color and one.marker != other.marker
    assert len({str(look.line) for look in looks[2:]}) == len(looks[2:])
    assert len({hatch for _, hatch in style.LAYERS}) == len({color for color, _ in style.LAYERS}) == len(style.LAYERS)


def test_labels_can_be_read_on_white() -> None:
    for look in (style.BASELINE, style.METHOD, *style.FURTHER):
        assert 1.05 / (luminance(look.ink) + 0.05) >= 4.5, look.ink


def test_a_role_looks_the_same_whatever_stands_beside_it() -> None:
    assert style.styles(ARMS)["new"] == style.styles({"x": "method"})["x"] == style.METHOD
    assert style.styles(ARMS)["plain"] == style.BASELINE and style.styles(ARMS)["odd"] == style.FURTHER[0]
