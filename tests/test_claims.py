"""Claims: verdicts, rules, and the file they are kept in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from reglab import catalogue, statistics
from reglab.claims import Claim
from reglab.experiment import Experiment
from reglab.statistics import Interval

NAME = catalogue.SLUGS[0]
NUMBERS = st.floats(-1e3, 1e3)


def claim(effect: Callable[..., Any] = lambda data: data.x, **how: Any) -> Claim:
    bound: dict[str, Any] = {} if {"above", "below", "within"} & set(how) else {"above": 0.0}
    return Claim("k", Experiment, "we say", "they say", effect, **{**bound, "group": "paper", "source": "zero", **how})


def seeds(*values: float) -> list[xr.Dataset]:
    return [xr.Dataset({"x": ("seed", np.array(values))})]


# -------------------------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("bound", "low", "high", "verdict"),
    [
        ({"above": 0.1}, 0.2, 0.3, "holds"),
        ({"above": 0.1}, 0.0, 0.3, "unclear"),
        ({"above": 0.1}, 0.1, 0.3, "unclear"),
        ({"above": 0.1}, -0.2, 0.1, "does not hold"),
        ({"below": 0.1}, -0.2, 0.0, "holds"),
        ({"below": 0.1}, 0.0, 0.1, "unclear"),
        ({"below": 0.1}, 0.1, 0.3, "does not hold"),
        ({"below": -0.05}, -0.3, -0.1, "holds"),
        ({"within": (-0.01, 0.02)}, -0.01, 0.02, "holds"),
        ({"within": (-0.01, 0.02)}, -0.02, 0.0, "unclear"),
        ({"within": (-0.01, 0.02)}, -0.02, 0.03, "unclear"),
        ({"within": (-0.01, 0.02)}, 0.03, 0.04, "does not hold"),
        ({"within": (-0.01, 0.02)}, -0.04, -0.02, "does not hold"),
        ({"above": 0.1}, math.nan, math.nan, "unclear"),
        ({"above": 0.1}, 0.2, math.inf, "holds"),
    ],
)
def test_verdicts(bound: dict[str, Any], low: float, high: float, verdict: str) -> None:
    assert claim(**bound).verdict(low, high) == verdict


@given(NUMBERS, NUMBERS, NUMBERS)
def test_above_and_below_mirror_each_other(bound: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert claim(above=bound).verdict(low, high) == claim(below=-bound).verdict(-high, -low)


def test_bounds_in_words() -> None:
    assert [claim(above=0.1).bound, claim(below=-2).bound, claim(within=(-0.01, 1)).bound] == [
        "> 0.1",
        "< -2",
        "-0.01 to 1",
    ]


def test_the_interval_rule_judges_the_mean() -> None:
    found, verdict = claim().judge(seeds(1.0, 2.0, 3.0, -0.1))
    assert found == pytest.approx(tuple(float(end) for end in statistics.mean_interval([1.0, 2.0, 3.0, -0.1])))
    assert verdict == "unclear"
    assert claim().judge(seeds(1.0, 1.1, 1.2))[1] == "holds"


def test_one_seed_or_nan_is_unclear() -> None:
    assert claim().judge(seeds(1.0))[1] == "unclear"
    assert claim().judge(seeds(1.0, 1.1, math.nan))[1] == "unclear"
    assert claim(rule="every seed").judge(seeds(1.0, math.nan))[1] == "unclear"
    assert claim(lambda data: math.nan, rule="exact").judge(seeds(1.0))[1] == "unclear"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((0.1, 5.0), "holds"), ((-0.1, 5.0), "does not hold"), ((0.0, 5.0), "does not hold"), ((-2, -1), "does not hold")],
)
def test_every_seed_counts(values: tuple[float, ...], verdict: str) -> None:
    found, judged = claim(rule="every seed").judge(seeds(*values))
    assert found == Interval(sum(values) / len(values), min(values), max(values)) and judged == verdict


def test_an_exact_number_has_no_interval() -> None:
    assert claim(lambda data: 0.5, rule="exact").judge(seeds(1.0)) == (Interval(0.5, 0.5, 0.5), "holds")


def test_the_bootstrap_resamples_whole_seeds_of_all_data_sets_together() -> None:
    values = np.random.default_rng(2).normal(1, 1, 40)
    first = seeds(*values)[0]
    paired = claim(lambda a, b: float((a.x - b.x).std()), rule="bootstrap", within=(-1e-9, 1e-9))
    assert paired.judge([first, first + 1])[0] == pytest.approx((0, 0, 0), abs=1e-12)
    spread = claim(lambda data: float(data.x.std(ddof=1)), rule="bootstrap", above=0.5)
    found, verdict = spread.judge([first])
    assert (found, verdict) == spread.judge([first]) and verdict == "holds"
    expected = scipy.stats.bootstrap((values,), lambda v, axis: v.std(axis, ddof=1), method="percentile", rng=0)
    assert found[1:] == pytest.approx(tuple(expected.confidence_interval), abs=0.03)
    assert spread.judge(seeds(1.0))[1] == "unclear"


@pytest.mark.parametrize(
    ("rule", "effect"),
    [("exact", [1.0, 2.0]), ("bootstrap", [1.0]), ("interval", 1.0), ("every seed", 1.0), ("interval", [[1.0, 2.0]])],
)
def test_an_effect_of_the_wrong_shape_is_an_error(rule: Any, effect: Any) -> None:
    with pytest.raises(ValueError, match=f"claim 'k': rule '{rule}' needs one number"):
        claim(lambda data: effect, rule=rule).judge(seeds(1.0, 2.0))


@pytest.mark.parametrize("bounds", [{"above": 0, "below": 1}, {"above": None}, {"within": (0, 1), "above": 0}])
def test_a_claim_has_exactly_one_bound(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="claim 'k': give exactly one of above, below, within"):
        claim(**bounds)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rule": "often"}, "rule 'often' is none of interval, every seed"),
        ({"group": "ours"}, "group 'ours' is none of paper, identity, control"),
        ({"source": "derived"}, "source 'derived' is none of paper, theory, zero, pilot"),
    ],
)
def test_a_claim_has_a_known_rule_group_and_source(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"claim 'k': {said}"):
        claim(**wrong)


@pytest.mark.parametrize("given", [{"group": "paper"}, {"source": "zero"}])
def test_a_claim_says_what_kind_it_is_and_where_its_bound_comes_from(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument"):
        Claim("k", Experiment, "we say", "they say", lambda data: data.x, above=0, **given)
