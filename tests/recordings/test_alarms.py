"""No false alarms: how likely each check fails by luck, and all of them together."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import false_alarms
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reglab import catalogue, measurements, statistics
from reglab.claims import Claim
from reglab.experiment import Experiment
from reglab.recordings import alarms, sweep

every_paper = pytest.mark.parametrize("name", catalogue.SLUGS)


# ---------------------------------------------------------------------------------------------------------- the family


def test_all_checks_together_fail_by_luck_less_than_once_in_a_thousand_runs(request: pytest.FixtureRequest) -> None:
    """Each test that may fail by luck says how likely, and why: `@pytest.mark.alarm(1e-6, "why")`."""
    stated = [mark.args for item in request.session.items for mark in item.iter_markers("alarm")]
    assert all(0 < probability < alarms.FAMILY and len(why) > 20 for probability, why in stated)
    papers = alarms.PAPERS * (alarms.SPOT + alarms.CLAIM + alarms.CHOICE)
    assert papers + sum(probability for probability, _ in stated) < alarms.FAMILY
    assert len(catalogue.SLUGS) <= alarms.PAPERS


# ----------------------------------------------------------------------------------------------------- recorded points


def test_a_change_of_all_seeds_is_told_from_other_luck() -> None:
    source = np.random.default_rng(0)

    def draws(mean: float, seeds: int = 8) -> np.ndarray:
        return source.normal(mean, 0.1, (2000, seeds))

    def beyond(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return alarms.excess(new - old, 1e-3)

    other = beyond(draws(1), draws(1))
    assert 0 < (other != 0).mean() < 0.005, "one in a thousand of the differences by luck is seen"
    assert (beyond(draws(1), draws(2)) > 0.5).mean() > 0.95 and (beyond(draws(2), draws(1)) < -0.5).mean() > 0.95
    old = draws(1)
    np.testing.assert_allclose(beyond(old, old + 0.001), 0.001)
    np.testing.assert_allclose(beyond(old[:, :1], old[:, :1] - 0.25), -0.25)
    old[:, 0] = np.nan
    np.testing.assert_allclose(beyond(old, draws(1) * 0 + 1), alarms.excess((1 - old)[:, 1:], 1e-3))


@given(st.lists(st.integers(0, 10**6), min_size=7, max_size=7), st.integers(-(10**6), 0))
def test_all_eight_seeds_must_have_the_same_sign(seven: list[int], one: int) -> None:
    assert alarms.excess(np.array([*seven, one], dtype=float), alarms.POINT / 5) == 0


@every_paper
def test_whatever_the_distribution_luck_stays_below_what_is_allowed(name: str) -> None:
    """All seeds of a row have the same sign at three points: 2·2^-24, for each of at least five rows."""
    for one in map(false_alarms.read, sweep.planned(name)):
        values = np.stack([*one.rows.values()])
        rows = np.isfinite(values).all(-1).sum(0)
        assert values.shape[-1] == 8 and rows.min() >= 5, one.name
        assert rows.max() * 2 * 2.0 ** (-8 * (1 + alarms.FURTHER)) <= alarms.SPOT, one.name


@every_paper
def test_recorded_seeds_drawn_again_raise_no_alarm(name: str) -> None:
    """A shorter run of `tests/benchmarks/false_alarms.py`; what was not seen counts as three in all draws."""
    source = np.random.default_rng(0)
    for one in map(false_alarms.read, sweep.planned(name)):
        found = false_alarms.rates(one, "resampled", 300, source, chunk=300)
        assert found["point"] <= alarms.POINT, one.name
        assert found["paper"] <= alarms.SPOT, one.name


# -------------------------------------------------------------------------------------------------------------- claims


@every_paper
def test_every_paper_has_a_robust_claim_and_luck_does_not_change_its_verdict(name: str) -> None:
    stored = {record["key"]: record for record in (measurements.read(name) or {"claims": []})["claims"]}
    robust = [claim for claim in catalogue.claims(name) if claim.robust]
    assert robust, "mark a claim as robust whose verdict another draw of all seeds gives, too, within seconds"
    for claim in robust:
        record = stored[claim.key]
        assert record["verdict"] == "holds", claim.key
        luck = alarms.other_verdict(claim, record["effect"], record["low"], record["high"], record["seeds"])
        assert luck <= alarms.CLAIM, f"{claim.key}: {luck:.2g}; choose a claim further from its bound"


def claim(**bound: object) -> Claim:
    kind: dict[str, object] = {"group": "paper", "source": "zero"}
    return Claim("key", Experiment, "text", "reported", lambda data: 0.0, **bound, **kind)  # type: ignore[arg-type]


def test_the_probability_of_another_verdict_is_that_of_many_draws() -> None:
    draws = np.random.default_rng(0).normal(1.0, 0.5, (200_000, 8))
    _, low, high = statistics.mean_interval(draws)
    half = float(statistics.quantile(8) * 0.5 / 8**0.5)
    found = alarms.other_verdict(claim(above=0.4), 1.0, 1.0 - half, 1.0 + half, 8)
    assert found == pytest.approx(float((low <= 0.4).mean()), rel=0.03)
    assert found == pytest.approx(stats.nct.cdf(statistics.quantile(8), 7, 0.6 / (0.5 / 8**0.5)), rel=1e-6)
    found = alarms.other_verdict(claim(within=(0.4, 1.6)), 1.0, 1.0 - half, 1.0 + half, 8)
    assert found == pytest.approx(float(((low < 0.4) | (high > 1.6)).mean()), rel=0.03)
    spread = float(np.ptp(draws, 1).mean()) / 2
    found = alarms.other_verdict(claim(below=2.5, rule="every seed"), 1.0, 1.0 - spread, 1.0 + spread, 8)
    assert found == pytest.approx(float((draws.max(1) >= 2.5).mean()), rel=0.05)


def test_closed_forms_know_rounding_only_and_what_is_not_known_is_refused() -> None:
    assert alarms.other_verdict(claim(below=1e-6, rule="exact"), 1e-9, 1e-9, 1e-9, 8) == 0
    assert alarms.other_verdict(claim(below=1.0, rule="exact"), 0.9999, 0.9999, 0.9999, 8) == 1
    assert alarms.other_verdict(claim(above=0.5, rule="every seed"), 1.0, 1.0, 1.0, 8) == 0
    with pytest.raises(ValueError, match="'key': how often a bootstrap"):
        alarms.other_verdict(claim(above=0.5, rule="bootstrap"), 1.0, 0.9, 1.1, 8)
