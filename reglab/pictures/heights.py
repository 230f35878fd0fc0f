"""How far the axis of curves reaches: it follows a setting at which they would fill little of it."""

from __future__ import annotations

import numpy as np

FILLED, FLAT = 0.3, 0.001
"""Curves fill at least this share of their axis, but for those that span less than the second share of it: one value
as far as a recording tells, which nothing can spread."""

MARGIN = 0.05
"""What is left free above and below, as a share of what is shown."""


def fitted(common: tuple[float, float], curves: np.ndarray, beside: np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis: the common ones where curves fill `FILLED` of them, or else ends that follow them.

    Everything is measured along the axis: in logarithms where it is logarithmic. What stands `beside` the curves
    (intervals, theory, references) is shown as far as their own span beyond them, so that it cannot flatten them.
    The page does the same: `heights` in `replay.js`.
    """
    curves, beside = curves[np.isfinite(curves)], beside[np.isfinite(beside)]
    room, span = common[1] - common[0], float(np.ptp(curves)) if len(curves) else 0.0
    if not FLAT * room < span < FILLED * room:
        return common
    shown = np.concatenate([curves, np.clip(beside, curves.min() - span, curves.max() + span)])
    margin = MARGIN * float(np.ptp(shown))
    return float(shown.min()) - margin, float(shown.max()) + margin
