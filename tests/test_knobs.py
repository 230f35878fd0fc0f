"""Knobs: what each takes, and what it says of everything else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from walk import Walk

from reglab.knobs import Arm, knob, tuned


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("drift", 1.7, "a number from -1 to 1"),
        ("drift", math.nan, "a number from -1 to 1"),
        ("drift", math.inf, "a number from -1 to 1"),
        ("drift", "much", "a number from -1 to 1"),
        ("drift", None, "a number from -1 to 1"),
        ("drift", True, "a number from -1 to 1"),
        ("drift", [0.5], "a number from -1 to 1"),
        ("scale", 0.4, "a number from 0.5 to 8"),
        ("steps", 2.5, "a whole number from 1 to 50"),
        ("steps", 0, "a whole number from 1 to 50"),
        ("steps", 10**310, "a whole number from 1 to 50"),
        ("steps", True, "a whole number from 1 to 50"),
        ("steps", math.nan, "a whole number from 1 to 50"),
        ("mirrored", 1, "true or false"),
        ("mirrored", "yes", "true or false"),
        ("law", "cauchy", "one of 'normal', 'uniform'"),
        ("law", 3, "one of 'normal', 'uniform'"),
        ("law", ["normal"], "one of 'normal', 'uniform'"),
        ("law", np.array(["normal", "uniform"]), "one of 'normal', 'uniform'"),
    ],
)
def test_a_bad_value_names_knob_value_and_range(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(ValueError) as error:
        Walk(**{name: value})
    assert str(error.value) == f"{name} = {value!r}: the knob {name!r} takes {allowed}"


@given(st.floats(-1, 1), st.integers(1, 50))
def test_good_values_are_kept_in_the_type_of_the_knob(drift: float, steps: int) -> None:
    walk = Walk(drift=np.float64(drift), steps=float(steps))  # type: ignore[arg-type]
    assert (walk.drift, walk.steps) == (drift, steps)
    assert type(walk.drift) is float and type(walk.steps) is int
    assert Walk.make({"drift": str(drift), "steps": str(steps)}) == walk


def test_the_ends_of_a_range_belong_to_it() -> None:
    assert (
        Walk(drift=-1, steps=50, scale=0.5).settings()
        == Walk.make({"drift": "-1", "steps": "50", "scale": "0.5"}).settings()
    )


def test_texts_are_read_as_the_command_line_writes_them() -> None:
    made = Walk.make({"drift": "1e-1", "steps": "3", "mirrored": "True", "law": "uniform"})
    assert made == Walk(drift=0.1, steps=3, mirrored=True, law="uniform")


@pytest.mark.parametrize("text", ["", "nan", "inf", "three", "2.5", "0x3"])
def test_bad_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the knob 'steps' takes a whole number from 1 to 50"):
        Walk.make({"steps": text})


def test_an_unknown_knob_suggests_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"Walk has no knob 'drfit'; did you mean 'drift'.*its knobs: drift, scale"):
        Walk.make({"drfit": 0.1})
    with pytest.raises(KeyError) as error:
        Walk.make({"zzz": 1})
    assert "did you mean" not in str(error.value) and "steps" in str(error.value)


def test_a_numeric_knob_needs_a_range() -> None:
    with pytest.raises(ValueError, match="needs low and high, or stops"):
        knob(1.0, low=0)
    assert knob(1.0, stops=(4, 0, 1)).metadata["knob"].range == "a number from 0 to 4"


def test_a_chosen_number_stands_for_itself_and_says_how_it_was_chosen() -> None:
    found = tuned(0.01, over=(0.1, 0.001, 0.01), on="score")
    assert found == 0.01 and found.on == "score" and found.words == "0.01, chosen from 0.001, 0.01, 0.1"
    made = knob(found, low=0, high=1)
    assert made.metadata["knob"].tuned is found and made.default == 0.01 and type(made.default) is float
    assert Arm("rival", decay=found).value("decay", {}) == 0.01


@pytest.mark.parametrize("value", [0.02, 0.001, 0.1])
def test_a_number_that_is_no_inner_candidate_was_not_chosen(value: float) -> None:
    with pytest.raises(ValueError, match=r"must be one of \(0.001, 0.01, 0.1\) and neither the first nor the last"):
        tuned(value, over=(0.001, 0.01, 0.1), on="score")
