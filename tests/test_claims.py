"""Claims: verdicts, rules, and the file they are kept in."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from reglab import catalogue, claims, digests, statistics
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


# ------------------------------------------------------------------------------------------------------- measuring


def test_measuring_shares_runs_and_says_all() -> None:
    told: list[float] = []
    keys = ["early accuracy", "time scales"]
    records = claims.measure(NAME, seeds=2, keys=keys, progress=lambda fraction, label: told.append(fraction))
    assert {record["key"] for record in records} == set(keys)
    for record in records:
        assert record["seeds"] == 2 and record["paper"] == NAME and record["verdict"] in ("holds", "unclear")
        assert json.loads(json.dumps(record)) == record
    assert told == sorted(told) and told[-1] == 1


@pytest.mark.parametrize("count", [0, -1])
def test_measuring_with_no_seeds_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"seeds = {count}"):
        claims.measure(NAME, seeds=count, keys=["early accuracy"])


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(KeyError, match="has no claim 'erly accuracy'; it has: early learning, "):
        claims.measure(NAME, keys=["early accuracy", "erly accuracy"])


# -------------------------------------------------------------------------------------------------------- the file


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    return tmp_path


def measured(number: int = 0, **other: Any) -> dict[str, Any]:
    """Return what is kept of a claim of the first paper, as if it was measured."""
    claim = catalogue.claims(NAME)[number]
    kept = {"key": claim.key, "digest": digests.of_claim(claim), "date": "2026-01-02", "effect": 0.25, "low": None}
    return {**kept, "high": 0.5, "verdict": "holds", **other}


RECORD = measured()
ALL = [measured(number) for number in range(len(catalogue.claims(NAME)))]


def test_what_is_written_is_read(root: Path) -> None:
    assert claims.read(NAME) is None and claims.stale(NAME)
    path = claims.write(NAME, [{**record, "claim": "words", "seeds": 3} for record in ALL])
    assert path == claims.path(NAME) == root / "data" / "claims" / f"{NAME}.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["claims"] == ALL and set(kept) == {"paper", "versions", "claims"}, "words are not kept"
    content = claims.read(NAME.split("/")[1])
    assert content is not None and content["date"] == "2026-01-02" and content["stale"] is False
    assert set(content["versions"]) == {"reglab", "python", "numpy", "torch"}
    declared = catalogue.claims(NAME)
    for claim, record, found in zip(declared, ALL, content["claims"], strict=True):
        assert record.items() <= found.items()
        assert (found["claim"], found["reported"], found["bound"]) == (claim.text, claim.reported, claim.bound)
        assert (found["experiment"], found["seeds"], found["why"]) == (claim.of.__name__, claim.seeds, "")
    assert not claims.stale(NAME)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_failure_is_explained_with_today_s_words(root: Path) -> None:
    number = [bool(claim.why) for claim in catalogue.claims(NAME)].index(True)
    claims.write(NAME, [measured(number, verdict="unclear")])
    content = claims.read(NAME)
    assert content is not None and content["claims"][0]["why"] == catalogue.claims(NAME)[number].why


def test_claims_of_other_code_are_stale(root: Path) -> None:
    path = claims.write(NAME, ALL)
    path.write_text(path.read_text(encoding="utf-8").replace(RECORD["digest"], "0" * 16), encoding="utf-8")
    assert claims.stale(NAME) and claims.outdated(NAME) == [RECORD["key"]]
    content = claims.read(NAME)
    assert content is not None and content["stale"] is True


def test_what_is_measured_again_takes_its_place_and_the_rest_stays(root: Path) -> None:
    claims.write(NAME, ALL[:3])
    assert claims.outdated(NAME) == [record["key"] for record in ALL[3:]]
    claims.write(NAME, [measured(1, date="2026-03-04", effect=0.75), ALL[-1]])
    content = claims.read(NAME)
    assert content is not None and content["date"] == "2026-01-02 to 2026-03-04"
    assert [record["key"] for record in content["claims"]] == [ALL[number]["key"] for number in (0, 1, 2, -1)]
    assert [record["effect"] for record in content["claims"]] == [0.25, 0.75, 0.25, 0.25]


def test_a_record_that_no_claim_asks_for_is_not_shown(root: Path) -> None:
    path = claims.write(NAME, ALL)
    assert not claims.stale(NAME)
    path.write_text(path.read_text(encoding="utf-8").replace('"early learning"', '"late learning"'), encoding="utf-8")
    content = claims.read(NAME)
    assert content is not None and [record["key"] for record in content["claims"]] == [one["key"] for one in ALL[1:]]
    assert claims.stale(NAME) and claims.outdated(NAME) == ["early learning"]
    claims.write(NAME, [RECORD])
    assert not claims.stale(NAME) and "late learning" not in path.read_text(encoding="utf-8")


def test_a_whole_measurement_replaces_a_damaged_file_and_a_part_does_not(root: Path) -> None:
    path = claims.write(NAME, ALL)
    path.write_text("{half", encoding="utf-8")
    with pytest.raises(ValueError, match="not a readable claims file"):
        claims.write(NAME, [RECORD])
    claims.write(NAME, ALL)
    assert not claims.stale(NAME)


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[]", b"{}", b'"claims"', b"null", b"\xff\xfe\x00", b'{"claims": ', b'{"claims": [{}]}']
)
def test_a_damaged_file_is_refused(root: Path, damaged: bytes) -> None:
    path = claims.write(NAME, ALL)
    path.write_bytes(damaged)
    with pytest.raises(ValueError) as error:
        claims.read(NAME)
    assert str(error.value).startswith(f"{path}: not a readable claims file; recompute it with `reglab check")


def test_a_file_that_cannot_be_written_leaves_nothing(root: Path) -> None:
    (root / "data").write_text("in the way")
    with pytest.raises(ValueError) as error:
        claims.write(NAME, ALL)
    assert str(error.value).startswith(f"cannot write {claims.path(NAME)}: ")
    (root / "data").unlink()
    claims.path(NAME).mkdir(parents=True)
    with pytest.raises(ValueError, match="cannot write"):
        claims.write(NAME, ALL)
    assert list(claims.path(NAME).parent.iterdir()) == [claims.path(NAME)]
    shutil.rmtree(root / "data")


@given(st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=False))
def test_kept_numbers_are_strict_json_with_six_digits(value: float) -> None:
    kept = json.loads(json.dumps(claims._number(value), allow_nan=False))
    if math.isfinite(value):
        assert kept == pytest.approx(value, rel=5e-6)
    else:
        assert kept is None
