"""CutMix: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from reglab import statistics
from reglab.exercise import WrongAnswerError, compare
from reglab.papers.noise.cutmix import method

CLIPPED = 0.5 - 0.2 + 1 / 48
"""The mean share of the picture that a box with real-valued sides covers inside it: ∫ (s - s²/4)² 2s ds over [0, 1]."""


def check_label(answer: tuple[float | None, float | None]) -> str:
    """Check the shares of label B for λ = 0.25 and a box around the corner of an 8x8 picture: as drawn, as visible."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise WrongAnswerError("give two numbers: the share by the drawn λ, and the share of the pixels.")
    first, end = method.cut_box(torch.tensor(0.25), torch.tensor([0, 0]), (8, 8))
    visible, side = float((end - first).prod()) / 64, "the side is 8·√0.75 without its fraction; half of it is inside."
    compare(answer[0], 0.75, [(0.25, "this is the share of label A.")], "it is 1 − λ.", tolerance=1e-3)
    hints = ((1 - visible, "this is the share of A."), (36 / 64, "three quarters of the box lie outside."))
    compare(answer[1], visible, hints, side, tolerance=1e-3)
    return f"B shows {visible:.3f} of its pixels, and would get {0.75 / visible:.1f} times as much of the label."


def check_clipping(answer: Callable[[int], float]) -> str:
    """Check a student's simulation of the mean share of the picture that the box covers after clipping."""
    found = answer(200_000)
    hints = (
        (0.5, "this is the mean area before clipping: parts of the box lie outside the picture."),
        (1 - CLIPPED, "this is the mean of λ, the share of picture A; asked for is the share of the box."),
        (1 / 3 - 1 / 8 + 1 / 80, "the side is √(1 − λ), not 1 − λ."),
    )
    compare(found, CLIPPED, hints, "this is not the mean area: draw λ and both centers, then clip.", tolerance=0.003)
    return f"Your simulation gives {found:.4f}; the integral is 1/2 − 1/5 + 1/48 = {CLIPPED:.4f}."


def check_strength(answer: tuple[Any, float | None]) -> str:
    """Check where a student sees the largest gain without heads, by the student's own run of all strengths.

    Right is each strength that the best one does not beat beyond the 95 % interval of their difference.
    """
    sweep, strength = answer
    if sweep is None or strength is None:
        raise NotImplementedError
    gains = sweep.headless.sel(arm="CutMix") - sweep.headless.sel(arm="plain")
    if strength not in gains.contrast:
        raise WrongAnswerError("give one of the strengths that were run.")
    best, there = gains.mean("seed").idxmax("contrast").item(), gains.sel(contrast=strength)
    if statistics.mean_interval(gains.sel(contrast=best) - there)[1] > 0:
        raise WrongAnswerError("at another strength the two lines are farther apart, in your run, beyond luck.")
    return f"There CutMix gains {there.mean().item():.3f} without heads; the largest mean gain is at {best:g}."
