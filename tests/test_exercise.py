"""The comparison of an answer with the right one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reglab.exercise import Mistake, WrongAnswerError, compare, finite, read_off

RIGHT = torch.tensor([1.0, 2.0])
HINTS: list[tuple[Mistake, str]] = [(-RIGHT, "sign"), (lambda found: bool(found.sum() > 9), "too much")]


@pytest.mark.parametrize(
    ("found", "hint"),
    [(-RIGHT, "sign"), (9 * RIGHT, "too much"), (RIGHT + 0.1, "think"), (RIGHT[:1], r"shape \(2,\), one a row"),
     (3.0, "shape"), ([1.0, 2.0], "shape")],
)  # fmt: skip
def test_a_wrong_tensor_gets_the_hint_that_fits(found: Any, hint: str) -> None:
    with pytest.raises(WrongAnswerError, match=hint):
        compare(found, RIGHT, HINTS, "think", each="one a row")


@pytest.mark.parametrize("found", [2, 2.0, np.float32(2), torch.tensor(2.0), torch.tensor([2.0])])
def test_a_right_number_of_any_kind_is_accepted(found: Any) -> None:
    compare(found, 2.0, [(2.0, "never reached")], "wrong")
    with pytest.raises(WrongAnswerError, match="twice"):
        compare(found, 1.0, [(2.0, "twice")], "wrong")


@pytest.mark.parametrize("found", ["2", RIGHT, (2, 2)])
def test_what_is_no_number_is_refused(found: Any) -> None:
    with pytest.raises(WrongAnswerError, match="one number"):
        compare(found, 2.0, [], "wrong")


def test_no_answer_is_not_a_wrong_one() -> None:
    with pytest.raises(NotImplementedError):
        compare(None, 2.0, [], "wrong")
    compare(RIGHT.double(), RIGHT, HINTS, "think")


@pytest.mark.parametrize("found", [2, 2.0, np.float32(1.2), 2.9])
def test_a_number_read_off_may_lie_in_the_interval_or_beside_it_by_a_misreading(found: Any) -> None:
    values = [1.8, 2.0, 2.2]  # mean 2, sd 0.2: its 95 % interval is 2 ± 4.303 · 0.2 / √3, that is ± 0.497
    read_off(found, values, "never reached", reading=0.5)
    with pytest.raises(WrongAnswerError, match="look again"):
        read_off(3.0, values, "look again", reading=0.5)
    with pytest.raises(WrongAnswerError, match="look again"):
        read_off(2.6, values, "look again", reading=0.1)


def test_what_is_not_read_off_is_no_answer() -> None:
    with pytest.raises(NotImplementedError):
        read_off(None, [1.0, 2.0], "wrong", reading=0.1)
    with pytest.raises(WrongAnswerError, match="one number"):
        read_off("2", [1.0, 2.0], "wrong", reading=0.1)


@pytest.mark.parametrize("answer", [np.nan, np.inf, torch.tensor([1, np.nan]), np.array([-np.inf]), [1, np.nan]])
def test_no_checker_sees_what_is_no_number(answer: Any) -> None:
    with pytest.raises(WrongAnswerError, match="infinite or NaN"):
        finite(answer)
    with pytest.raises(WrongAnswerError, match="infinite or NaN"):
        finite(lambda shift: answer)(2)


@pytest.mark.parametrize("answer", [2, 2.5, "a word", (1, None), torch.tensor([1, 2]), None])
def test_a_checker_sees_all_other_answers_as_they_are(answer: Any) -> None:
    assert finite(answer) is answer and finite(lambda: answer)() is answer
