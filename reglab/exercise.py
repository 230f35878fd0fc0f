"""How the check of an exercise compares an answer with the right one, and what it says when it is wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reglab import statistics


class WrongAnswerError(Exception):
    """An answer to an exercise is wrong; the message is a hint."""


class Verdict(NamedTuple):
    """What a check says about an answer."""

    kind: Literal["right", "not yet", "unanswered", "error"]
    text: str


Mistake = Tensor | float | Callable[[Any], bool]
"""A wrong answer that somebody may give, or what tells whether an answer makes this mistake."""


def judge(answer: Any, checker: Callable[[Any], str]) -> Verdict:
    """Check an answer to an exercise; `...` or None is no answer yet, and no error of the student's code gets out.

    `checker` returns praise for a right answer and raises `WrongAnswerError` with a hint for a wrong one. No answer is
    right that is, or returns, NaN or infinity.
    """
    if answer is None or answer is ...:
        return Verdict("unanswered", "Not answered yet.")
    try:
        return Verdict("right", f"Right. {checker(finite(answer))}")
    except WrongAnswerError as hint:
        return Verdict("not yet", f"Not yet. Hint: {hint}")
    except NotImplementedError:
        return Verdict("unanswered", "Not answered yet.")
    except Exception as error:  # noqa: BLE001 - a student's code may fail in any way; that is an answer too
        return Verdict("error", f"Your code stopped with {type(error).__name__}: {error}")


def finite(answer: Any) -> Any:
    """Return an answer that is the same, but raises `WrongAnswerError` where it is or returns NaN or infinity.

    Comparisons with NaN are never true, so a checker that looks for what is wrong would let it through.
    """
    if callable(answer):

        @functools.wraps(answer, updated=())
        def checked(*arguments: Any, **settings: Any) -> Any:
            return finite(answer(*arguments, **settings))

        return checked
    for one in answer if isinstance(answer, list | tuple) else [answer]:
        if isinstance(one, Tensor | np.ndarray | np.number | float) and not torch.as_tensor(one).isfinite().all():
            raise WrongAnswerError("a number that you give is infinite or NaN (not a number, for example 0 / 0).")
    return answer


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


def read_off(found: Any, values: np.ndarray | Sequence[float], hint: str, *, reading: float) -> None:
    """Compare a number read off a picture with what it shows, one number for each seed.

    It may lie in the 95 % interval of their mean, or beside it by as much as one can misread, `reading`. Raises
    `WrongAnswerError` with the hint, and `NotImplementedError` for None, the unanswered exercise.
    """
    if found is None:
        raise NotImplementedError
    _, low, high = statistics.mean_interval(values)
    if not isinstance(found, np.number | float | int):
        raise WrongAnswerError("give one number.")
    if not low - reading <= found <= high + reading:
        raise WrongAnswerError(hint)


def _close(found: Any, value: Tensor | float, tolerance: float) -> bool:
    one, other = (torch.as_tensor(side, dtype=torch.float64).detach() for side in (found, value))
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance)
