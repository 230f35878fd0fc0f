"""The measured claims of a paper: on which seeds they are measured, what is kept of them, and what was there before.

Claims are measured on exam seeds, which nobody looks at before effect and bound are final: those from `EXAM` on, which
the claims file of a paper names. Whoever changes a question after that look takes the next block. `EXAM = 0` is a
paper that is still being built, measured on the seeds on which it is tuned.
"""

from __future__ import annotations

import datetime
import json
import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import reglab
from reglab import catalogue, digests, files
from reglab.claims import Claim, Verdict
from reglab.experiment import Experiment
from reglab.statistics import Interval

if TYPE_CHECKING:
    import xarray as xr

KEPT = ("key", "digest", "question", "block", "date", "effect", "low", "high", "bound", "verdict")
"""What is kept of a measured claim, beside `nulls` where it has any; everything else is said by the code."""

BEFORE = ("block", "date", "effect", "low", "high", "bound", "verdict")
"""What the history keeps of a measurement, beside the sentence that says what changed and why."""


# ------------------------------------------------------------------------------------------------------------ measuring


def measure(
    name: str,
    seeds: int | None = None,
    keys: Iterable[str] | None = None,
    progress: Callable[[float, str], None] | None = None,
    block: int | None = None,
) -> list[dict[str, Any]]:
    """Measure the claims of a paper (all, or those with the given keys) and return one record for each.

    The seeds are those from `block` on, the paper's exam seeds without it; `seeds` replaces their number, which each
    claim names. Claims that need the same run share it. `progress` is called with the fraction done and what is
    running. Raises `KeyError` for an unknown key.
    """
    claims = _claims(name, keys)
    first = catalogue.exam(name) if block is None else block
    measured = {claim.key: digests.of_claim(claim) for claim in claims}  # of the code that is measured

    def needed(claim: Claim) -> list[tuple[Experiment, int]]:
        count = claim.seeds if seeds is None else seeds
        return [(claim.of.make(settings), count) for settings in claim.at.values()]

    runs = list(dict.fromkeys(run for claim in claims for run in needed(claim)))
    results: dict[tuple[Experiment, int], xr.Dataset] = {}
    for done, (experiment, count) in enumerate(runs):

        def report(fraction: float, done: int = done, label: str = type(experiment).__name__) -> None:
            if progress is not None:
                progress((done + fraction) / len(runs), label)

        if count < 1:
            raise ValueError(f"seeds = {count}: at least 1 seed is needed")
        results[experiment, count] = experiment.run(range(first, first + count), progress=report)

    records, today = [], datetime.date.today().isoformat()
    for claim in claims:
        datasets = [results[run] for run in needed(claim)]
        nulls = {arm: _numbers(*judged) for arm, judged in claim.judge_nulls(datasets).items()}
        digest = {"digest": measured[claim.key], "question": digests.of_question(claim)}
        kept = {"key": claim.key, **digest, "block": first, "date": today, "bound": claim.bound, "nulls": nulls}
        records.append(_described(name, claim, kept | _numbers(*claim.judge(datasets))))
        records[-1]["seeds"] = claim.seeds if seeds is None else seeds
    return records


def again(name: str, robust: bool = False) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Measure the claims of a paper again, or its robust ones; return of each the stored and the new record.

    The seeds are those of the stored record. Raises `ValueError` when a claim was never measured.
    """
    keys = [claim.key for claim in catalogue.claims(name) if claim.robust or not robust]
    stored = _kept(name)["claims"]
    slug = catalogue.find(name).split("/")[1]
    if missing := [key for key in keys if key not in stored]:
        raise ValueError(f"{slug}: {missing[0]!r} was never measured; run `reglab check {slug}`")
    found = {}
    for block in sorted({stored[key]["block"] for key in keys}):
        here = [key for key in keys if stored[key]["block"] == block]
        found.update({record["key"]: record for record in measure(name, keys=here, block=block)})
    claims = {claim.key: claim for claim in catalogue.claims(name)}
    return [(_described(name, claims[key], stored[key]), found[key]) for key in keys]


def _claims(name: str, keys: Iterable[str] | None) -> Sequence[Claim]:
    """Return the claims of a paper with some keys, all without them; raises `KeyError` for an unknown one."""
    claims: Sequence[Claim] = catalogue.claims(name)
    wanted = {claim.key for claim in claims} if keys is None else set(keys)
    if unknown := wanted - {claim.key for claim in claims}:
        raise KeyError(f"{name!r} has no claim {sorted(unknown)[0]!r}; it has: {', '.join(c.key for c in claims)}")
    return [claim for claim in claims if claim.key in wanted]


def _described(name: str, claim: Claim, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a claim: what was measured, and what the code says of it."""
    return {
        **{key: measured[key] for key in KEPT},
        "nulls": measured.get("nulls", {}),
        "paper": catalogue.find(name),
        "experiment": claim.of.__name__,
        "claim": claim.text,
        "group": claim.group,
        "essential": claim.essential,
        "source": claim.source,
        "rule": claim.rule,
        "seeds": claim.seeds,
        "settings": {label: dict(settings) for label, settings in claim.at.items()},
        "reported": claim.reported,
        "scaled": claim.of.scaled,
        "why": claim.why if measured["verdict"] != "holds" else "",
    }


def _numbers(found: Interval, verdict: Verdict) -> dict[str, Any]:
    """Return an effect with its interval and verdict as they are kept."""
    return {"effect": _number(found.mean), "low": _number(found.low), "high": _number(found.high), "verdict": verdict}


def _number(value: float) -> float | None:
    """Six significant digits, and None for NaN and infinity, which JSON does not have."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


# ----------------------------------------------------------------------------------------------- what may be measured


def check_unseen(name: str, keys: Iterable[str] | None = None) -> None:
    """Raise `ValueError` when exam seeds were looked at before some claims of a paper (all, or these) became final."""
    slug, exam, kept = catalogue.find(name).split("/")[1], catalogue.exam(name), _kept(name)
    seen = max([record["block"] for record in _everything(kept)], default=0)
    after = f"the seeds {seen}, {seen + 1}, … have been looked at; take EXAM = {seen + catalogue.BLOCK}"
    if exam < seen:
        raise ValueError(f"{slug}: its claims.py says EXAM = {exam}, but {after}")
    asked = {record["question"] for record in kept["claims"].values() if record["block"] == seen}
    changed = [claim.key for claim in _claims(name, keys) if digests.of_question(claim) not in asked]
    if exam == seen >= catalogue.BLOCK and changed:
        raise ValueError(f"{slug}: the claim {changed[0]!r} asks something new, and {after}")


def replaced(name: str, keys: Iterable[str] | None = None) -> list[str]:
    """Return which measured claims of a paper go to its history when it is measured (all, or these keys).

    They were measured on another block of seeds, or asked something else, or are claimed no longer.
    """
    exam = catalogue.exam(name)
    now = {claim.key: {"block": exam, "question": digests.of_question(claim)} for claim in _claims(name, keys)}
    return _replaced(name, _kept(name)["claims"], now)


def _replaced(name: str, kept: Mapping[str, Any], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return which kept records give way: to one of `now` with another block or question, or because nobody claims."""
    declared = {claim.key for claim in catalogue.claims(name)}
    return [
        key
        for key, old in kept.items()
        if key not in declared or any(now.get(key, old)[what] != old[what] for what in ("block", "question"))
    ]


# ------------------------------------------------------------------------------------------------------------- the file


def path(name: str) -> Path:
    """Return where the measured claims of a paper are kept: `data/claims/<part>/<slug>.json`."""
    return catalogue.ROOT / "data" / "claims" / f"{catalogue.find(name)}.json"


def write(name: str, records: Sequence[Mapping[str, Any]], why: str = "") -> Path:
    """Write measured claims with versions, atomically; returns the path.

    What was measured before of other claims of the paper stays. What a record replaces with another question or block
    of seeds, and what is claimed no longer, goes to the history with `why`, a sentence that says what changed and why.
    Raises `ValueError` as `read` does, and where that sentence is missing.
    """
    import torch

    declared, kept = [claim.key for claim in catalogue.claims(name)], _kept(name)
    measured = {record["key"]: _stored(record) for record in records}
    history = {key: list(entries) for key, entries in kept["history"].items()}
    for key in _replaced(name, kept["claims"], measured):
        if not why:
            raise ValueError(f"{path(name)}: say what changed and why before {key!r} goes to the history")
        old = kept["claims"][key]
        history.setdefault(key, []).append({**{field: old[field] for field in BEFORE}, "why": why})
    current = {**kept["claims"], **measured}
    content = {
        "paper": catalogue.find(name),
        "versions": {
            "reglab": reglab.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
        "claims": [current[key] for key in declared if key in current],
        "history": history,
    }
    target = path(name)
    files.write(target, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return target


def _stored(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of the record of a claim."""
    return {key: record[key] for key in KEPT} | ({"nulls": record["nulls"]} if record.get("nulls") else {})


def _kept(name: str) -> dict[str, Any]:
    """Return what the file of a paper holds: versions, records and history by key; `ValueError` for a damaged file."""
    source = path(name)
    if not source.is_file():
        return {"versions": {}, "claims": {}, "history": {}}
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        records = [_stored(record) for record in content["claims"]]
        history = {
            key: [{field: one[field] for field in (*BEFORE, "why")} for one in entries]
            for key, entries in content["history"].items()
        }
        kept = {record["key"]: record for record in records}
        return {"versions": content["versions"], "claims": kept, "history": history}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{source}: not a readable claims file; take it from the last commit, since its history cannot be measured"
        ) from error


def _everything(kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the records of a file, today's and earlier ones."""
    return [*kept["claims"].values(), *(entry for entries in kept["history"].values() for entry in entries)]


def read(name: str) -> dict[str, Any] | None:
    """Return what was measured of a paper, or None when nothing was; raises `ValueError` for a damaged file.

    `claims` has one record for each claim that the paper declares and that was measured: numbers and verdict from the
    file, words from the code. `history` has, by the key of a claim, what was measured of it before, oldest first.
    `date` tells when (the first and the last day, where they differ), `versions` with what the last one was measured,
    `stale` whether any must be measured again.
    """
    kept = _kept(name)
    measured = [claim for claim in catalogue.claims(name) if claim.key in kept["claims"]]
    if not measured:
        return None
    records = [_described(name, claim, kept["claims"][claim.key]) for claim in measured]
    days = sorted(record["date"] for record in records)
    return {
        "paper": catalogue.find(name),
        "date": days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}",
        "versions": kept["versions"],
        "stale": stale(name),
        "claims": records,
        "history": kept["history"],
    }


def outdated(name: str) -> list[str]:
    """Return which claims of a paper must be measured: never measured, on other seeds than `EXAM`, or of old code."""
    kept, exam = _kept(name)["claims"], catalogue.exam(name)
    known = {key: record["digest"] for key, record in kept.items() if record["block"] == exam}
    return [claim.key for claim in catalogue.claims(name) if known.get(claim.key) != digests.of_claim(claim)]


def stale(name: str) -> bool:
    """Tell whether what was measured of a paper is not what it claims: some claims are outdated, or there no longer."""
    declared = {claim.key for claim in catalogue.claims(name)}
    return bool(outdated(name)) or not declared.issuperset(_kept(name)["claims"])
