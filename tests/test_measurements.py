"""Measured claims: the seeds they are measured on, the file they are kept in, and its history."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from reglab import catalogue, digests, measurements
from reglab.claims import Claim
from reglab.effects import end
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.results import Frame, Var

NAME = catalogue.SLUGS[0]


# ------------------------------------------------------------------------------------------------------- measuring


def test_measuring_shares_runs_and_says_all() -> None:
    told: list[float] = []
    keys = ["early accuracy", "time scales"]
    records = measurements.measure(NAME, seeds=2, keys=keys, progress=lambda fraction, label: told.append(fraction))
    assert {record["key"] for record in records} == set(keys)
    for record in records:
        assert record["seeds"] == 2 and record["paper"] == NAME and record["verdict"] in ("holds", "unclear")
        assert json.loads(json.dumps(record)) == record
    assert told == sorted(told) and told[-1] == 1


@pytest.mark.parametrize("count", [0, -1])
def test_measuring_with_no_seeds_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"seeds = {count}"):
        measurements.measure(NAME, seeds=count, keys=["early accuracy"])


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(KeyError, match="has no claim 'erly accuracy'; it has: early learning, "):
        measurements.measure(NAME, keys=["early accuracy", "erly accuracy"])


# -------------------------------------------------------------------------------------------------------- the file


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    return tmp_path


def measured(number: int = 0, **other: Any) -> dict[str, Any]:
    """Return what is kept of a claim of the first paper, as if it was measured."""
    claim = catalogue.claims(NAME)[number]
    digest = {"digest": digests.of_claim(claim), "question": digests.of_question(claim)}
    numbers = {"effect": 0.25, "low": None, "high": 0.5, "bound": claim.bound, "verdict": "holds"}
    return {"key": claim.key, **digest, "block": catalogue.exam(NAME), "date": "2026-01-02", **numbers, **other}


RECORD = measured()
ALL = [measured(number) for number in range(len(catalogue.claims(NAME)))]


def test_what_is_written_is_read(root: Path) -> None:
    assert measurements.read(NAME) is None and measurements.stale(NAME)
    path = measurements.write(NAME, [{**record, "claim": "words", "seeds": 3} for record in ALL])
    assert path == measurements.path(NAME) == root / "data" / "claims" / f"{NAME}.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["claims"] == ALL and set(kept) == {"paper", "versions", "claims", "history"}, "words are not kept"
    content = measurements.read(NAME.split("/")[1])
    assert content is not None and content["date"] == "2026-01-02" and content["stale"] is False
    assert set(content["versions"]) == {"reglab", "python", "numpy", "torch"}
    declared = catalogue.claims(NAME)
    for claim, record, found in zip(declared, ALL, content["claims"], strict=True):
        assert record.items() <= found.items()
        assert (found["claim"], found["reported"], found["bound"]) == (claim.text, claim.reported, claim.bound)
        assert (found["experiment"], found["seeds"], found["why"]) == (claim.of.__name__, claim.seeds, "")
    assert not measurements.stale(NAME)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_failure_is_explained_with_today_s_words(declare: Callable[..., None]) -> None:
    first, *others = catalogue.claims(NAME)
    declare(0, dataclasses.replace(first, why="few seeds"), *others)
    for verdict, why in (("unclear", "few seeds"), ("holds", "")):
        measurements.write(NAME, [measured(verdict=verdict)])
        content = measurements.read(NAME)
        assert content is not None and content["claims"][0]["why"] == why


def test_claims_of_other_code_are_stale(root: Path) -> None:
    path = measurements.write(NAME, ALL)
    path.write_text(path.read_text(encoding="utf-8").replace(RECORD["digest"], "0" * 16), encoding="utf-8")
    assert measurements.stale(NAME) and measurements.outdated(NAME) == [RECORD["key"]]
    content = measurements.read(NAME)
    assert content is not None and content["stale"] is True


def test_what_is_measured_again_takes_its_place_and_the_rest_stays(root: Path) -> None:
    measurements.write(NAME, ALL[:3])
    assert measurements.outdated(NAME) == [record["key"] for record in ALL[3:]]
    measurements.write(NAME, [measured(1, date="2026-03-04", effect=0.75), ALL[-1]])
    content = measurements.read(NAME)
    assert content is not None and content["date"] == "2026-01-02 to 2026-03-04"
    assert [record["key"] for record in content["claims"]] == [ALL[number]["key"] for number in (0, 1, 2, -1)]
    assert [record["effect"] for record in content["claims"]] == [0.25, 0.75, 0.25, 0.25]


def test_a_record_that_no_claim_asks_for_is_not_shown(root: Path) -> None:
    path = measurements.write(NAME, ALL)
    assert not measurements.stale(NAME)
    path.write_text(path.read_text(encoding="utf-8").replace('"early learning"', '"late learning"'), encoding="utf-8")
    content = measurements.read(NAME)
    assert content is not None and [record["key"] for record in content["claims"]] == [one["key"] for one in ALL[1:]]
    assert measurements.stale(NAME) and measurements.outdated(NAME) == ["early learning"]
    measurements.write(NAME, [RECORD], why="it has another name")
    content = measurements.read(NAME)
    assert not measurements.stale(NAME) and content is not None
    assert [record["key"] for record in content["claims"]] == [one["key"] for one in ALL]
    assert [*content["history"]] == ["late learning"]


@pytest.mark.parametrize("count", [1, len(ALL)])
def test_a_damaged_file_is_not_replaced_because_its_history_would_be_lost(root: Path, count: int) -> None:
    path = measurements.write(NAME, ALL)
    path.write_text("{half", encoding="utf-8")
    with pytest.raises(ValueError, match="not a readable claims file"):
        measurements.write(NAME, ALL[:count])
    assert path.read_text(encoding="utf-8") == "{half"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'"claims"',
        b"null",
        b"\xff\xfe\x00",
        b'{"claims": ',
        b'{"claims": [{}]}',
        b'{"versions": {}, "claims": []}',
        b'{"versions": {}, "claims": [], "history": []}',
    ],
)
def test_a_damaged_file_is_refused(root: Path, damaged: bytes) -> None:
    path = measurements.write(NAME, ALL)
    path.write_bytes(damaged)
    with pytest.raises(ValueError) as error:
        measurements.read(NAME)
    assert str(error.value).startswith(f"{path}: not a readable claims file; take it from the last commit")


def test_a_file_that_cannot_be_written_leaves_nothing(root: Path) -> None:
    (root / "data").write_text("in the way")
    with pytest.raises(ValueError) as error:
        measurements.write(NAME, ALL)
    assert str(error.value).startswith(f"cannot write {measurements.path(NAME)}: ")
    (root / "data").unlink()
    measurements.path(NAME).mkdir(parents=True)
    with pytest.raises(ValueError, match="cannot write"):
        measurements.write(NAME, ALL)
    assert list(measurements.path(NAME).parent.iterdir()) == [measurements.path(NAME)]
    shutil.rmtree(root / "data")


# ------------------------------------------------------------------------------------------- exam seeds and history


@dataclass(frozen=True)
class Seeds(Experiment):
    """Measure the number of each seed, times a factor: an effect tells on which seeds it was measured."""

    factor: float = knob(1.0, low=0, high=9)

    outputs = {"number": Var("seed", "number", "the seed itself")}

    def frames(self, seeds: tuple[int, ...]) -> Iterator[Frame]:
        """Give the numbers."""
        yield Frame({}, {"number": np.array(seeds) * self.factor})


def number(results: xr.Dataset) -> xr.DataArray:
    return results.number


def claimed(key: str = "large", effect: Callable[..., Any] = number, **how: Any) -> Claim:
    kind: dict[str, Any] = {"above": 1.0, "group": "paper", "source": "zero", "seeds": 4}
    return Claim(key, Seeds, "our text", "their text", effect, **{**kind, **how})


@pytest.fixture
def declare(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what gives the first paper other claims and another block of exam seeds."""
    module = catalogue.module(NAME, "claims")

    def change(exam: int, *claims: Claim) -> None:
        monkeypatch.setattr(module, "EXAM", exam)
        monkeypatch.setattr(module, "CLAIMS", claims)

    return change


def check(why: str = "") -> dict[str, Any]:
    """Measure as `reglab check` does, and return what is then read."""
    measurements.check_unseen(NAME)
    measurements.write(NAME, measurements.measure(NAME), why)
    content = measurements.read(NAME)
    assert content is not None and not content["stale"]
    return content


def test_claims_are_measured_on_the_exam_seeds(declare: Callable[..., None]) -> None:
    declare(2000, claimed(), claimed("larger", seeds=8))
    records = check()["claims"]
    assert [(record["effect"], record["block"]) for record in records] == [(2001.5, 2000), (2003.5, 2000)]
    (fewer,) = measurements.measure(NAME, seeds=2, keys=["large"])
    assert fewer["effect"] == 2000.5
    (building,) = measurements.measure(NAME, keys=["large"], block=0)
    assert (building["effect"], building["block"]) == (1.5, 0)


def test_what_is_measured_again_is_measured_on_the_seeds_that_are_stored(declare: Callable[..., None]) -> None:
    declare(0, claimed(robust=True), claimed("larger"))
    check()
    declare(2000, claimed(robust=True), claimed("larger"))
    assert [before["effect"] == now["effect"] == 1.5 for before, now in measurements.again(NAME)] == [True, True]
    assert [now["key"] for _, now in measurements.again(NAME, robust=True)] == ["large"]


def test_another_block_of_seeds_makes_claims_outdated(declare: Callable[..., None]) -> None:
    declare(0, claimed())
    check()
    assert measurements.outdated(NAME) == [] == measurements.replaced(NAME)
    declare(2000, claimed())
    assert measurements.outdated(NAME) == ["large"] == measurements.replaced(NAME)
    content = measurements.read(NAME)
    assert content is not None and content["stale"] and content["claims"][0]["block"] == 0


def test_what_is_replaced_goes_to_the_history_with_a_reason(declare: Callable[..., None]) -> None:
    declare(0, claimed(), claimed("gone"))
    today = check()["claims"][0]["date"]
    declare(1000, claimed(above=1500))
    with pytest.raises(ValueError, match="say what changed and why before 'large' goes to the history"):
        check()
    check("the bound was a guess")
    declare(2000, claimed(above=1500))
    content = check("the seeds were looked at")
    first = {"block": 0, "date": today, "effect": 1.5, "low": -0.55426, "high": 3.55426, "bound": "> 1"}
    second = {"block": 1000, "effect": 1001.5, "bound": "> 1.5e+03", "verdict": "does not hold"}
    assert content["history"]["gone"] == [first | {"verdict": "unclear", "why": "the bound was a guess"}]
    assert content["history"]["large"][0] == content["history"]["gone"][0]
    assert second.items() <= content["history"]["large"][1].items()
    assert content["history"]["large"][1]["why"] == "the seeds were looked at"
    assert content["claims"][0]["verdict"] == "holds" and len(content["history"]["large"]) == 2


def test_a_measurement_of_the_same_question_on_the_same_seeds_is_no_history(declare: Callable[..., None]) -> None:
    declare(1000, claimed())
    check()
    declare(1000, claimed(essential=True, why="words", group="control", source="pilot"))
    content = check()
    assert content["history"] == {} and content["claims"][0]["effect"] == 1001.5


@pytest.mark.parametrize(
    "changed",
    [
        claimed(above=0.5),
        claimed(above=None, below=1.0),
        claimed(rule="every seed"),
        claimed(effect=lambda results: -results.number),
        claimed(at={"base": {"factor": 2.0}}),
        claimed(seeds=5),
        claimed("another name", above=0.5),
    ],
)
def test_a_question_that_changed_after_a_look_takes_the_next_block(
    declare: Callable[..., None], changed: Claim
) -> None:
    declare(2000, claimed())
    check()
    declare(2000, changed)
    with pytest.raises(ValueError, match=rf"{changed.key}' asks something new, .* 2000, 2001, .* take EXAM = 3000"):
        measurements.check_unseen(NAME)
    declare(3000, changed)
    check("it was wrong")
    declare(2000, claimed())
    with pytest.raises(ValueError, match=r"says EXAM = 2000, but the seeds 3000, .* take EXAM = 4000"):
        measurements.check_unseen(NAME)


def test_a_claim_that_is_unchanged_or_only_has_another_name_may_stay(declare: Callable[..., None]) -> None:
    declare(2000, claimed(), claimed("other", above=3.0))
    check()
    declare(2000, claimed("renamed"), claimed("other", above=3.0))
    assert [*check("a better name")["history"]] == ["large"]
    measurements.check_unseen(NAME, ["other"])


def test_building_seeds_may_be_looked_at_as_often_as_one_likes(declare: Callable[..., None]) -> None:
    declare(0, claimed())
    check()
    declare(0, claimed(above=0.5))
    assert [*check("the bound is that of the paper")["history"]] == ["large"]


# ------------------------------------------------------------------------------------- null arms in the method's place


@dataclass(frozen=True)
class Guess(Experiment):
    """Two arms of which one knows nothing and is as good."""

    arms = {"clever": Arm("method"), "noise": Arm("null")}
    outputs = {"score": Var("arm seed", "score", "of the arm")}

    def frames(self, seeds: tuple[int, ...]) -> Iterator[Frame]:
        """Give all arms nearly the same score."""
        yield Frame({}, {"score": 5 + np.array([[0.0], [0.5]]) + np.arange(len(seeds)) % 2})


def test_what_null_arms_reach_is_kept_where_there_is_any(declare: Callable[..., None]) -> None:
    clever, others = end("score", "clever"), lambda results: results.score.mean("arm")
    about = [dataclasses.replace(claimed(key, effect), of=Guess, essential=True) for key, effect in
             (("score", clever), ("better", clever - end("score", "noise")), ("all", others))]  # fmt: skip
    declare(1000, *about, dataclasses.replace(about[0], key="expected", essential=False))
    records = {record["key"]: record for record in check()["claims"]}
    (null,) = records["score"]["nulls"].items()
    assert null[0] == "noise" and null[1]["effect"] == 6.0 and null[1]["verdict"] == "holds"
    assert records["better"]["nulls"] == {"noise": {"effect": 0.5, "low": 0.5, "high": 0.5, "verdict": "does not hold"}}
    assert records["all"]["nulls"] == records["expected"]["nulls"] == {}
    kept = json.loads(measurements.path(NAME).read_text(encoding="utf-8"))["claims"]
    assert ["nulls" in record for record in kept] == [True, True, False, False]


# --------------------------------------------------------------------------------------------------------- numbers


@given(st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=False))
def test_kept_numbers_are_strict_json_with_six_digits(value: float) -> None:
    kept = json.loads(json.dumps(measurements._number(value), allow_nan=False))
    if math.isfinite(value):
        assert kept == pytest.approx(value, rel=5e-6)
    else:
        assert kept is None
