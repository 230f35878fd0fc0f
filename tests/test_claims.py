"""Claims: verdicts, rules, and null arms in the method's place."""

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
from reglab.knobs import Arm
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


def test_results_that_are_no_numbers_hold_nothing_even_where_a_mean_would_leave_them_out() -> None:
    for bad in (math.nan, math.inf):
        data = seeds(1.0, 1.1, 1.2)[0].assign(y=(("seed", "t"), [[1.0, 1], [1, bad], [1, 1]]))
        for effect, rule in (
            (lambda data: data.x, "interval"),
            (lambda data: data.y.mean("t"), "every seed"),
            (lambda data: float(data.x.mean()), "exact"),
            (lambda data: float(data.x.mean()), "bootstrap"),
        ):
            found, verdict = claim(effect, rule=rule).judge([data])
            assert verdict == "unclear" and np.isnan(found).all()


def test_what_is_declared_to_be_nan_is_no_fault() -> None:
    class Partly(Experiment):
        may_be_nan = ("y",)

    data = seeds(1.0, 1.1, 1.2)[0].assign(y=("seed", [1.0, math.nan, 1]))
    of = Claim("k", Partly, "we", "they", lambda data: data.x, above=0, group="paper", source="zero")
    assert of.judge([data])[1] == "holds"


def test_a_resample_without_a_number_makes_the_interval_nan() -> None:
    def alone(data: xr.Dataset) -> float:
        return float(data.x.mean()) if len(np.unique(data.x)) > 1 else math.nan

    found, verdict = claim(alone, rule="bootstrap").judge(seeds(1.0, 2.0, 3.0))
    assert found.mean == 2 and np.isnan(found[1:]).all() and verdict == "unclear"


@pytest.mark.parametrize(
    "bounds", [{"above": math.nan}, {"below": math.inf}, {"within": (0, math.nan)}, {"within": (1, 0)}]
)
def test_a_bound_is_a_finite_number(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"claim 'k': the bound .* is none; it is finite, the smaller end first"):
        claim(**bounds)


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


# ------------------------------------------------------------------------------------- null arms in the method's place


class Arms(Experiment):
    arms = {"plain": Arm("baseline"), "clever": Arm("method"), "noise": Arm("null"), "shuffled": Arm("null")}


NUMBERS_OF_ARMS = {"plain": 0.0, "clever": 3.0, "noise": 2.0, "shuffled": -1.0}


def measured(**numbers: float) -> list[xr.Dataset]:
    """Return results of four seeds whose arms have some numbers, give or take 0.1."""
    values = np.add.outer([*{**NUMBERS_OF_ARMS, **numbers}.values()], [0.1, -0.1, 0.1, -0.1])
    labels = np.array(list(NUMBERS_OF_ARMS), dtype=object)
    return [xr.Dataset({"x": (("arm", "seed"), values), "y": ("seed", values[0])}, {"arm": labels})]


def about(effect: Callable[..., Any], essential: bool = True, of: type[Experiment] = Arms, **how: Any) -> Claim:
    kind: dict[str, Any] = {"above": 1.0, "group": "paper", "source": "zero", "essential": essential}
    return Claim("k", of, "we say", "they say", effect, **{**kind, **how})


def gain(data: xr.Dataset) -> xr.DataArray:
    return data.x.sel(arm="clever") - data.x.sel(arm="plain")


def test_a_claim_is_judged_with_each_null_arm_in_the_method_s_place() -> None:
    found = about(gain).judge_nulls(measured())
    assert {arm: (judged[0].mean, judged[1]) for arm, judged in found.items()} == {
        "noise": (pytest.approx(2.0), "holds"),
        "shuffled": (pytest.approx(-1.0), "does not hold"),
    }
    assert about(gain).judge(measured())[0].mean == pytest.approx(3.0), "the data sets are as they were"


def test_a_method_that_is_compared_with_its_null_loses_in_its_place() -> None:
    found = about(lambda data: data.x.sel(arm="clever") - data.x.sel(arm="noise"), above=0.5).judge_nulls(measured())
    assert tuple(found["noise"][0]) == pytest.approx(3 * (-1.0,)) and found["noise"][1] == "does not hold"


@pytest.mark.parametrize("rule", ["interval", "every seed"])
def test_a_claim_that_is_not_about_the_method_is_not_judged_again(rule: Any) -> None:
    assert about(lambda data: data.y + 2, rule=rule).judge_nulls(measured()) == {}
    assert about(lambda data: data.x.sel(arm="plain") + 2, rule=rule).judge_nulls(measured()) == {}
    assert about(lambda data: data.y * math.nan, rule=rule).judge_nulls(measured()) == {}


def test_numbers_from_all_seeds_are_judged_again_too() -> None:
    def ratio(first: xr.Dataset, second: xr.Dataset) -> float:
        return float(first.x.sel(arm="clever").mean() / second.x.sel(arm="clever").mean())

    data = [*measured(), *measured(clever=1.5, noise=1.6)]
    claim = about(ratio, rule="bootstrap", above=1.5)
    assert claim.judge(data)[0].mean == pytest.approx(2.0) and claim.judge(data)[1] == "holds"
    found, verdict = claim.judge_nulls(data)["noise"]
    assert found.mean == pytest.approx(1.25) and found.low < 1.25 < found.high and verdict == "does not hold"
    exact = about(lambda data: float(gain(data).mean()), rule="exact").judge_nulls(measured())
    assert tuple(exact["noise"][0]) == pytest.approx(3 * (2.0,)) and exact["noise"][1] == "holds"


def test_only_essential_claims_of_one_method_are_judged_again() -> None:
    class Two(Arms):
        arms = {**Arms.arms, "plain": Arm("method")}

    class NoNull(Arms):
        arms = {"plain": "baseline", "clever": "method"}

    assert about(gain).exchanges == (("clever", "noise"), ("clever", "shuffled"))
    others = (about(gain, of=kind) for kind in (Two, NoNull, Experiment))
    for claim in (about(gain, essential=False), *others):
        assert claim.exchanges == () and claim.judge_nulls(measured()) == {}
