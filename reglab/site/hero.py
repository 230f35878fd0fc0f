"""The picture of the landing page: one polynomial, fitted to twelve noisy points with penalties from weak to strong."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

DEGREE, POINTS, NEW, NOISE, SEED = 11, 12, 2000, 0.3, 1
"""The polynomial, the points that it is fitted to and the new ones that it is judged by; noise is a deviation of y."""

PENALTIES = tuple(float(f"{digit}e{power}") for power in range(-9, 4) for digit in (1, 3))[:-1]
"""Every λ of the slider: the loss is the sum of squared errors plus λ times the sum of squared coefficients."""

GRID = np.linspace(-1, 1, 141)
"""Where a curve is drawn."""


@dataclass(frozen=True)
class Fit:
    """A fitted curve on `GRID`, and its root mean squared error on the points and on new ones, in units of y."""

    penalty: float
    curve: np.ndarray
    error: float
    new_error: float


def truth(x: np.ndarray) -> np.ndarray:
    """Return the true curve at x."""
    return np.sin(np.pi * x)


def points(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw noisy points of the true curve; x lies between -1 and 1."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, count)
    return x, truth(x) + NOISE * rng.standard_normal(count)


def fits() -> list[Fit]:
    """Fit the polynomial with every penalty, from the weakest to the strongest."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    (x, y), (new_x, new_y) = points(POINTS, SEED), points(NEW, SEED + 1)
    found = []
    for penalty in PENALTIES:
        model = make_pipeline(PolynomialFeatures(DEGREE, include_bias=False), Ridge(penalty, solver="svd"))
        model.fit(x[:, None], y)
        curve, old, new = (model.predict(at[:, None]) for at in (GRID, x, new_x))
        errors = (float(np.sqrt(np.mean((a - b) ** 2))) for a, b in ((old, y), (new, new_y)))
        found.append(Fit(penalty, curve, *errors))
    return found


def said(found: list[Fit], i: int) -> str:
    """Say in words what one fit does, compared with the one that is best on new points."""
    best = min(range(len(found)), key=lambda j: found[j].new_error)
    if found[i].new_error <= 1.1 * found[best].new_error:
        words = "About right: close to the true curve."
    else:
        words = "Too free: it follows the noise." if i < best else "Too stiff: it misses the bends."
    return f"Error on the {POINTS} points {found[i].error:.2f}, on new points {found[i].new_error:.2f}. {words}"


def label(penalty: float) -> str:
    """Write a penalty: 0.003, 3 × 10⁻⁵."""
    if penalty >= 0.001:
        return f"{penalty:g}"
    digit, power = f"{penalty:.0e}".split("e-")
    return f"{digit} × 10⁻{str(int(power)).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def written() -> str:
    """Return the picture as HTML: the best fit, with all others for the script that moves it."""
    found = fits()
    best = min(range(len(found)), key=lambda i: found[i].new_error)
    states = [
        {"label": label(fit.penalty), "path": _path(fit.curve), "said": said(found, i)} for i, fit in enumerate(found)
    ]
    marks = "".join(f'<circle cx="{a}" cy="{b}" r="6"/>' for a, b in map(_place, *points(POINTS, SEED)))
    now = states[best]
    return f"""<figure class="reglab-hero">
<svg viewBox="0 0 440 300" role="img" aria-label="{POINTS} noisy points, the true curve and a fitted polynomial">
<clipPath id="hero-frame"><rect x="0" y="0" width="440" height="300" rx="8"/></clipPath>
<g clip-path="url(#hero-frame)">
<path class="hero-truth" d="{_path(truth(GRID))}"/>
<path class="hero-fit" d="{now["path"]}"/>
<g class="hero-points">{marks}</g>
</g>
</svg>
<label hidden>Move λ <input type="range" min="0" max="{len(found) - 1}" value="{best}" autocomplete="off">
<output>{now["label"]}</output></label>
<p class="hero-said" aria-live="polite">{now["said"]}</p>
<figcaption>Dots: {POINTS} noisy points. Dotted: the true curve. Line: a polynomial of degree {DEGREE}, fitted with a
penalty of λ on its squared coefficients<span class="hero-still">, here λ = {now["label"]}</span>.
The error is the root mean square. New points are as noisy: no curve can do better than {NOISE:.2f} there.</figcaption>
<script type="application/json">{json.dumps(states, ensure_ascii=False)}</script>
</figure>
"""


def _place(x: float, y: float) -> tuple[float, float]:
    """Return where a point lies in the picture, which shows y from -2 to 2; what lies far outside stays near it."""
    return round(220 + 210 * float(x), 1), round(150 - 75 * float(np.clip(y, -6, 6)), 1)


def _path(curve: np.ndarray) -> str:
    return "M" + "L".join(f"{a:g},{b:g}" for a, b in map(_place, GRID, curve))
