"""The picture of the landing page shows what was computed."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from reglab.site import hero


def test_the_fits_are_those_of_the_normal_equations() -> None:
    x, y = hero.points(hero.POINTS, hero.SEED)
    powers = x[:, None] ** np.arange(1, hero.DEGREE + 1)
    centered, left = powers - powers.mean(0), y - y.mean()
    for fit in hero.fits():
        if fit.penalty >= 1e-4:  # below, the normal equations lose too many digits
            weights = np.linalg.solve(centered.T @ centered + fit.penalty * np.eye(hero.DEGREE), centered.T @ left)
            curve = y.mean() + (hero.GRID[:, None] ** np.arange(1, hero.DEGREE + 1) - powers.mean(0)) @ weights
            np.testing.assert_allclose(fit.curve, curve, atol=1e-6)
            error = np.sqrt(np.mean((y.mean() + centered @ weights - y) ** 2))
            assert fit.error == pytest.approx(error, abs=1e-6)


def test_a_stronger_penalty_fits_its_points_worse_and_new_points_best_in_between() -> None:
    found = hero.fits()
    assert np.all(np.diff([fit.error for fit in found]) > 0)
    new = [fit.new_error for fit in found]
    best = int(np.argmin(new))
    assert 0 < best < len(found) - 1 and hero.NOISE < new[best] < 1.2 * hero.NOISE < min(new[0], new[-1])
    said = [hero.said(found, i) for i in (0, best, len(found) - 1)]
    assert [re.sub(r"^.*\d\. (.*):.*$", r"\1", text) for text in said] == ["Too free", "About right", "Too stiff"]
    assert f"new points {new[best]:.2f}." in said[1]


def test_penalties_are_written_for_people() -> None:
    assert [hero.label(one) for one in (3e-5, 1e-9, 0.001, 0.3, 1000.0)] == [
        "3 × 10⁻⁵",
        "1 × 10⁻⁹",
        "0.001",
        "0.3",
        "1000",
    ]
    assert len(hero.PENALTIES) == 25 and list(hero.PENALTIES) == sorted(hero.PENALTIES)


def test_the_still_picture_is_the_best_fit_and_holds_all_others() -> None:
    text = hero.written()
    assert "\n\n" not in text.strip(), "a blank line ends HTML inside Markdown"
    data = re.search(r'<script type="application/json">(.*)</script>', text)
    assert data is not None
    states, found = json.loads(data[1]), hero.fits()
    best = min(range(len(found)), key=lambda i: found[i].new_error)
    assert [state["said"] for state in states] == [hero.said(found, i) for i in range(len(found))]
    assert f'class="hero-fit" d="{states[best]["path"]}"' in text and f'value="{best}"' in text
    x, y = np.array([point.split(",") for point in states[best]["path"][1:].split("L")], float).T
    np.testing.assert_allclose((x - 220) / 210, hero.GRID, atol=0.001)
    np.testing.assert_allclose((150 - y) / 75, found[best].curve, atol=0.001)
    assert text.count("<circle ") == hero.POINTS
