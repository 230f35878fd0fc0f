"""How the check of an exercise compares an answer with the right one, and what it raises when it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class WrongAnswerError(Exception):
    """An answer to an exercise is wrong; the message is a hint."""


Mistake = Tensor | float | Callable[[Any], bool]
"""A wrong answer that somebody may give, or what tells whether an answer makes this mistake."""


def compare(
    found: Any,
    right: Tensor | float,
    hints: Sequence[tuple[Mistake, str]],
    otherwise: str,
    *,
    each: str = "",
    tolerance: float = 1e-5,
) -> None:
    """Compare an answer with the right tensor or number; raise `WrongAnswerError` with the first hint that fits.

    `hints` are mistakes, each with its text, tried in their order; `otherwise` is the hint when none fits.
    `each` says what a tensor holds, as in "one number for each logit". `tolerance` is relative and absolute. Raises
    `NotImplementedError` for None, the unanswered exercise.
    """
    if found is None:
        raise NotImplementedError
    if isinstance(right, Tensor):
        if not isinstance(found, Tensor) or found.shape != right.shape:
            holds = f", {each}" if each else ""
            raise WrongAnswerError(f"return a tensor of shape {tuple(right.shape)}{holds}.")
    elif not isinstance(found, Tensor | np.number | float | int) or torch.as_tensor(found).numel() != 1:
        raise WrongAnswerError("return one number.")
    if _close(found, right, tolerance):
        return
    for mistake, hint in hints:
        if mistake(found) if callable(mistake) else _close(found, mistake, tolerance):
            raise WrongAnswerError(hint)
    raise WrongAnswerError(otherwise)


def _close(found: Any, value: Tensor | float, tolerance: float) -> bool:
    one, other = (torch.as_tensor(side, dtype=torch.float64).detach() for side in (found, value))
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance)
