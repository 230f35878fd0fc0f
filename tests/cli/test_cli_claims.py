"""`reglab check`: what it prints, what it writes, and when it fails."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from commands import NAME, PAPER, Reglab, stored

from reglab import catalogue, claims, digests, measurements


def test_check_prints_what_it_measured_as_json(reglab: Reglab) -> None:
    kept = stored()
    done = reglab("check", PAPER, "--claim", "time scales", "--claim", "early accuracy", "--json")
    records = json.loads(done.stdout)
    assert [record["key"] for record in records] == ["time scales", "early accuracy"]
    for record in records:
        assert set(record) == {
            "key", "paper", "experiment", "claim", "group", "essential", "effect", "low", "high", "bound", "source",
            "rule", "verdict", "block", "seeds", "settings",
        }  # fmt: skip
    assert records[0]["paper"] == NAME and records[0]["experiment"] == "StoppingTime" and records[0]["essential"]
    assert records[0]["verdict"] == "holds" and done.returncode == 0
    assert "stays as it is" in done.stderr
    assert stored() == kept


def test_an_essential_claim_that_does_not_hold_fails(inside: Reglab, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = stored()
    monkeypatch.setenv("COLUMNS", "300")
    done = inside("check", PAPER, "--claim", "time scales", "--seeds", "1")
    row = next(line for line in done.stdout.splitlines() if declared("time scales").text in line)
    assert "unclear" in row and "essential" in row and "< 0.15" in row and "[none, none]" in row
    assert done.returncode == 1 and "do not hold: 'time scales'" in done.stderr
    assert stored() == kept


def declared(key: str) -> claims.Claim:
    return next(claim for claim in catalogue.claims(PAPER) if claim.key == key)


def measured(claim: claims.Claim, verdict: str = "holds") -> dict[str, Any]:
    digest = {"digest": digests.of_claim(claim), "question": digests.of_question(claim)}
    numbers = {"effect": 0.25, "low": 0.0, "high": 0.5, "bound": claim.bound}
    return {
        "key": claim.key,
        **digest,
        "block": catalogue.exam(NAME),
        "date": "2026-01-02",
        **numbers,
        "verdict": verdict,
    }


def test_stale_looks_at_what_was_measured(inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    claims_file, module = measurements.path(NAME), catalogue.module(NAME, "claims")
    first, *others = map(declared, ("shape matters", "time scales", "early accuracy"))
    monkeypatch.setattr(module, "CLAIMS", [first, *others])
    assert [claim.essential for claim in module.CLAIMS] == [False, True, True]
    records = [measured(claim) for claim in (first, *others)]
    measurements.write(NAME, records)
    fresh = inside("check", PAPER, "--stale")
    assert fresh.returncode == 0 and "No claims are stale" in fresh.stderr and fresh.stdout == ""
    assert json.loads(inside("check", PAPER, "--stale", "--json").stdout) == []
    for verdict in ("unclear", "does not hold"):
        measurements.write(NAME, [measured(others[0], verdict)])
        failed = inside("check", PAPER, "--stale")
        assert failed.returncode == 1 and f"'time scales' was measured as: {verdict}" in failed.stderr
    measurements.write(NAME, [records[1], measured(first, "unclear")])
    assert inside("check", PAPER, "--stale").returncode == 0
    claims_file.write_text("{half")
    damaged = inside("check", PAPER, "--stale")
    assert damaged.returncode == 2 and "not a readable claims file" in damaged.stderr
    claims_file.unlink()
    measurements.write(NAME, records)
    changed = claims_file.read_text().replace(records[2]["digest"], "0" * 16)
    claims_file.write_text(changed)
    monkeypatch.setenv("COLUMNS", "300")
    again = inside("check", PAPER, "--stale", "--claim", "early accuracy")
    assert again.returncode == 0 and others[1].text in again.stdout
    assert claims_file.read_text() == changed, "only some claims were measured"


def test_stale_measures_the_stale_claims_only(inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    module = catalogue.module(NAME, "claims")
    scales, early = (claim for claim in module.CLAIMS if claim.key in ("time scales", "early accuracy"))
    monkeypatch.setattr(module, "CLAIMS", [early, scales])
    measurements.write(NAME, [measured(scales, "unclear"), measured(early) | {"digest": "0" * 16}])
    done = inside("check", PAPER, "--stale", "--json")
    assert [record["key"] for record in json.loads(done.stdout)] == ["early accuracy"]
    assert done.returncode == 1 and "'time scales' was measured as: unclear" in done.stderr, "what stays counts, too"
    content = measurements.read(NAME)
    assert content is not None and not content["stale"]
    assert [record["effect"] for record in content["claims"]] == [json.loads(done.stdout)[0]["effect"], 0.25]
    assert content["date"].startswith("2026-01-02 to ")


def test_check_writes_what_it_measured(inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    module = catalogue.module(NAME, "claims")
    quick = tuple(claim for claim in module.CLAIMS if claim.of.__name__ in ("StoppingTime", "EarlyAccuracy"))
    monkeypatch.setattr(module, "CLAIMS", quick)
    for some in (("--seeds", "2"), ("--building", "--claim", quick[0].key)):
        assert inside("check", PAPER, *some).returncode in (0, 1) and not measurements.path(NAME).exists()
    done = inside("check", PAPER, "--json")
    content = measurements.read(NAME)
    assert done.returncode == 0 and done.stderr == "" and content is not None
    assert [record["key"] for record in content["claims"]] == [claim.key for claim in quick]
    assert [record["effect"] for record in content["claims"]] == [one["effect"] for one in json.loads(done.stdout)]
    assert not measurements.stale(NAME)
    measurements.path(NAME).unlink()
    measurements.path(NAME).parent.rmdir()
    measurements.path(NAME).parent.write_text("a file where the folder should be")
    refused = inside("check", PAPER)
    assert refused.returncode == 2 and refused.stderr.startswith("Error: ") and "labels" in refused.stderr


def test_robust_claims_are_compared_with_what_is_stored(
    inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = catalogue.module(NAME, "claims")
    (quick,) = (claim for claim in module.CLAIMS if claim.key == "time scales")
    (record,) = (record for record in (measurements.read(NAME) or {})["claims"] if record["key"] == "time scales")
    monkeypatch.setattr(module, "CLAIMS", (dataclasses.replace(quick, robust=True), *module.CLAIMS[:2]))
    before = stored()
    same = inside("check", PAPER, "--robust")
    assert same.returncode == 0 and "1 of 1 robust claims get their stored verdicts" in same.stderr
    assert stored() == before
    wrong = inside("check", PAPER, "--robust", "--seeds", "2")
    assert wrong.returncode == 2 and "they take no other option" in wrong.stderr

    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    missing = inside("check", PAPER, "--robust")
    assert missing.returncode == 1 and "run `reglab check early_learning`" in missing.stderr
    measurements.write(NAME, [record | {"verdict": "does not hold"}])
    other = inside("check", PAPER, "--robust")
    assert other.returncode == 1 and "it was stored as 'does not hold'" in other.stderr
    assert "`reglab check early_learning`" in other.stderr


def test_all_claims_are_compared_and_what_differs_is_told(
    inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = catalogue.module(NAME, "claims")
    quick = tuple(claim for claim in module.CLAIMS if claim.of.__name__ in ("StoppingTime", "EarlyAccuracy"))
    monkeypatch.setattr(module, "CLAIMS", quick)
    records = [one for one in (measurements.read(NAME) or {})["claims"] if one["key"] in [claim.key for claim in quick]]
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    measurements.write(NAME, [records[0] | {"effect": 0.5, "verdict": "unclear"}, *records[1:]])
    before = measurements.path(NAME).read_bytes()
    done = inside("check", PAPER, "--compare")
    assert done.returncode == 0 and measurements.path(NAME).read_bytes() == before, "all hold, whatever was stored"
    assert f"Differs: {NAME}, {records[0]['key']!r}: stored 0.5 [" in done.stderr and "holds" in done.stderr
    assert f"{len(quick) - 1} of {len(quick)} claims get their stored verdicts" in done.stderr


def test_an_essential_claim_may_come_near_its_bound_on_another_processor_but_not_far_from_what_is_stored(
    inside: Reglab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = catalogue.module(NAME, "claims")
    (scales,) = (claim for claim in module.CLAIMS if claim.key == "time scales")
    (record,) = (one for one in (measurements.read(NAME) or {})["claims"] if one["key"] == "time scales")
    assert scales.essential and record["low"] < record["effect"] < record["high"]
    monkeypatch.setattr(module, "CLAIMS", (dataclasses.replace(scales, below=record["effect"]),))
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    measurements.write(NAME, [record])
    near = inside("check", PAPER, "--compare")
    assert near.returncode == 0 and "holds, now" in near.stderr and "unclear" in near.stderr
    measurements.write(NAME, [record | {key: record[key] - 1 for key in ("effect", "low", "high")}])
    far = inside("check", PAPER, "--compare")
    assert far.returncode == 1 and "'time scales' unclear" in far.stderr and "stored as 'holds'" in far.stderr


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> claims.Claim:
    """Return the only claim that the paper has, in a lab where nothing was measured."""
    module = catalogue.module(NAME, "claims")
    (quick,) = (claim for claim in module.CLAIMS if claim.key == "time scales")
    monkeypatch.setattr(module, "CLAIMS", (quick,))
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    return quick


def test_exam_seeds_are_looked_at_once_and_the_file_says_what_changed(
    inside: Reglab, quick: claims.Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = catalogue.module(NAME, "claims")
    monkeypatch.setattr(module, "EXAM", 0)
    measurements.write(NAME, [measured(quick)])
    monkeypatch.setattr(module, "EXAM", 1000)
    unsaid = inside("check", PAPER)
    assert unsaid.returncode == 2 and "say what changed and why: `reglab check early_learning --why" in unsaid.stderr
    done = inside("check", PAPER, "--why", "building is over", "--json")
    assert done.returncode == 0 and [one["block"] for one in json.loads(done.stdout)] == [1000]
    content = json.loads(measurements.path(NAME).read_text())
    assert [one["why"] for one in content["history"]["time scales"]] == ["building is over"]
    idle = inside("check", PAPER, "--why", "no reason")
    assert idle.returncode == 2 and "nothing that was measured goes to the history; leave --why out" in idle.stderr

    monkeypatch.setattr(module, "CLAIMS", (dataclasses.replace(quick, below=0.2),))
    for options in ((), ("--stale",), ("--why", "an easier bound"), ("--claim", "time scales"), ("--seeds", "2")):
        looked = inside("check", PAPER, *options)
        assert looked.returncode == 2 and "take EXAM = 2000" in looked.stderr, options
    building = inside("check", PAPER, "--building", "--seeds", "2", "--json")
    assert [one["block"] for one in json.loads(building.stdout)] == [0] and "stays as it is" in building.stderr
    assert json.loads(measurements.path(NAME).read_text()) == content


def test_a_claim_that_an_arm_that_knows_nothing_meets_fails(inside: Reglab, quick: claims.Claim) -> None:
    null = {"effect": 0.1, "low": 0.0, "high": 0.2, "verdict": "holds"}
    measurements.write(NAME, [measured(quick) | {"nulls": {"noise": null}}])
    done = inside("check", PAPER, "--stale")
    assert done.returncode == 1 and "knows nothing, too: 'time scales' (for noise)" in done.stderr
    measurements.write(NAME, [measured(quick) | {"nulls": {"noise": null | {"verdict": "unclear"}}}])
    assert inside("check", PAPER, "--stale").returncode == 0
