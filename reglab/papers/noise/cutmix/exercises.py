"""CutMix: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

from reglab.exercise import compare

CLIPPED = 0.5 - 0.2 + 1 / 48
"""The mean share of the picture that a box with real-valued sides covers inside it: ∫ (s - s²/4)² 2s ds over [0, 1]."""


def check_clipping(answer: Callable[[int], float]) -> str:
    """Check a student's simulation of the mean share of the picture that the box covers after clipping."""
    found = answer(200_000)
    hints = (
        (0.5, "this is the mean area before clipping: parts of the box lie outside the picture."),
        (1 - CLIPPED, "this is the mean of λ, the share of picture A; asked for is the share of the box."),
        (1 / 3 - 1 / 8 + 1 / 80, "the side is √(1 − λ), not 1 − λ."),
    )
    wrong = "this is not the mean area; draw λ and both centers uniformly in [0, 1], and clip each side."
    compare(found, CLIPPED, hints, wrong, tolerance=0.003)
    return f"Your simulation gives {found:.4f}; the integral is 1/2 − 1/5 + 1/48 = {CLIPPED:.4f}."
