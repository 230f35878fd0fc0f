"""A paper's statement becomes a number: measured effect, paired over seeds, with an interval and a verdict."""

from __future__ import annotations

import datetime
import json
import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import reglab
from reglab import catalogue, digests, files, statistics
from reglab.experiment import Experiment
from reglab.statistics import Interval

if TYPE_CHECKING:
    import xarray as xr

Rule = Literal["interval", "every seed", "exact", "bootstrap"]
Verdict = Literal["holds", "unclear", "does not hold"]
Group = Literal["paper", "identity", "control"]
Source = Literal["paper", "theory", "zero", "pilot"]

RULES: dict[Rule, str] = {
    "interval": "the 95 % interval of the mean over seeds lies wholly on the right side of the bound",
    "every seed": "each single seed lies on the right side of the bound",
    "exact": "one number without randomness lies on the right side of the bound",
    "bootstrap": "the 95 % bootstrap interval of one number from all seeds lies on the right side of the bound",
}
"""What each rule asks of the measured effect."""

GROUPS: dict[Group, str] = {"paper": "The paper says", "identity": "Exact identities", "control": "Our controls"}
"""The groups of claims in the order of a page, as they are called there."""

SOURCES: dict[Source, str] = {
    "paper": "the paper's number",
    "theory": "from theory",
    "zero": "no effect",
    "pilot": "from a pilot run",
}
"""Where a bound comes from, in the words beside it: "zero" is what no effect would give, 0 or a ratio of 1."""


@dataclass(frozen=True)
class Claim:
    """One statement of a paper and how it is measured here.

    `text` is our statement and `reported` the paper's, with its number; `of` is the experiment and `at` names the
    settings it is run at (everything else default). `effect` takes those data sets in that order and returns one
    number per seed (rules "interval", "every seed") or one number ("exact", "bootstrap"). Exactly one of `above`,
    `below`, `within` is the bound, and `source` says where it comes from (`SOURCES`); `group` says what kind of
    statement it is (`GROUPS`). `why` explains a claim that fails. A `robust` one gets the same verdict from another
    draw of all its seeds, too (`reglab.recordings.alarms` says how likely), and takes seconds.
    """

    key: str
    of: type[Experiment]
    text: str
    reported: str
    effect: Callable[..., Any]
    at: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"base": {}})
    above: float | None = None
    below: float | None = None
    within: tuple[float, float] | None = None
    rule: Rule = "interval"
    essential: bool = False
    seeds: int = 8
    why: str = ""
    robust: bool = False
    group: Group = field(kw_only=True)
    source: Source = field(kw_only=True)

    def __post_init__(self) -> None:
        if sum(bound is not None for bound in (self.above, self.below, self.within)) != 1:
            raise ValueError(f"claim {self.key!r}: give exactly one of above, below, within")
        for name, known in (("rule", RULES), ("group", GROUPS), ("source", SOURCES)):
            if getattr(self, name) not in known:
                raise ValueError(f"claim {self.key!r}: {name} {getattr(self, name)!r} is none of {', '.join(known)}")

    @property
    def bound(self) -> str:
        """The bound in words: `> 0.1`, `< 0.15` or `-0.01 to 0.01`."""
        if self.within is not None:
            return f"{self.within[0]:g} to {self.within[1]:g}"
        return f"> {self.above:.3g}" if self.above is not None else f"< {self.below:.3g}"

    def verdict(self, low: float, high: float) -> Verdict:
        """Compare an interval with the bound: inside it, outside it, or astride (`unclear`, as is NaN)."""
        if math.isnan(low) or math.isnan(high):
            return "unclear"
        if self.within is not None:
            smallest, largest = self.within
            inside, outside = smallest <= low and high <= largest, high < smallest or low > largest
        elif self.above is not None:
            inside, outside = low > self.above, high <= self.above
        else:
            assert self.below is not None
            inside, outside = high < self.below, low >= self.below
        return "holds" if inside else "does not hold" if outside else "unclear"

    def judge(self, datasets: Sequence[xr.Dataset]) -> tuple[Interval, Verdict]:
        """Return the effect with its interval and the verdict.

        For "every seed" the ends are the smallest and the largest seed, and one seed on the wrong side decides.
        """
        effect = np.asarray(self.effect(*datasets), dtype=float)
        if self.rule in ("exact", "bootstrap") and effect.ndim:
            raise ValueError(f"claim {self.key!r}: rule {self.rule!r} needs one number, the effect gave {effect.shape}")
        if self.rule == "exact":
            found = Interval(float(effect), float(effect), float(effect))
        elif self.rule == "bootstrap":
            found = statistics.bootstrap(self.effect, datasets)
        elif effect.ndim != 1:
            raise ValueError(f"claim {self.key!r}: rule {self.rule!r} needs one number per seed, got {effect.shape}")
        elif self.rule == "every seed":
            found = Interval(float(effect.mean()), float(effect.min()), float(effect.max()))
            verdict = self.verdict(found.low, found.high)
            return found, "does not hold" if verdict == "unclear" and not np.isnan(effect).any() else verdict
        else:
            found = Interval(*(float(end) for end in statistics.mean_interval(effect)))
        return found, self.verdict(found.low, found.high)


def measure(
    name: str,
    seeds: int | None = None,
    keys: Iterable[str] | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure the claims of a paper (all, or those with the given keys) and return one record for each.

    `seeds` replaces the number of seeds that each claim names. Claims that need the same run share it. `progress` is
    called with the fraction done and what is running. Raises `KeyError` for an unknown key.
    """
    claims: Sequence[Claim] = catalogue.claims(name)
    if keys is not None:
        wanted = list(keys)
        unknown = set(wanted) - {claim.key for claim in claims}
        if unknown:
            raise KeyError(f"{name!r} has no claim {sorted(unknown)[0]!r}; it has: {', '.join(c.key for c in claims)}")
        claims = [claim for claim in claims if claim.key in wanted]
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

        results[experiment, count] = experiment.run(count, progress=report)

    records, today = [], datetime.date.today().isoformat()
    for claim in claims:
        found, verdict = claim.judge([results[run] for run in needed(claim)])
        numbers = {key: _number(value) for key, value in zip(("effect", "low", "high"), found, strict=True)}
        kept = {"key": claim.key, "digest": measured[claim.key], "date": today, **numbers, "verdict": verdict}
        records.append(_described(name, claim, kept) | {"seeds": claim.seeds if seeds is None else seeds})
    return records


def again(name: str, robust: bool = False) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Measure the claims of a paper again, or its robust ones; return of each the stored and the new record.

    Raises `ValueError` when a claim was never measured.
    """
    keys = [claim.key for claim in catalogue.claims(name) if claim.robust or not robust]
    stored = {record["key"]: record for record in (read(name) or {"claims": []})["claims"]}
    slug = catalogue.find(name).split("/")[1]
    if missing := [key for key in keys if key not in stored]:
        raise ValueError(f"{slug}: {missing[0]!r} was never measured; run `reglab check {slug}`")
    return [(stored[record["key"]], record) for record in measure(name, keys=keys)]


KEPT = ("key", "digest", "date", "effect", "low", "high", "verdict")
"""What is kept of a measured claim; everything else is said by the code."""


def _described(name: str, claim: Claim, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a claim: what was measured, and what the code says of it."""
    return {
        **{key: measured[key] for key in KEPT},
        "paper": catalogue.find(name),
        "experiment": claim.of.__name__,
        "claim": claim.text,
        "group": claim.group,
        "essential": claim.essential,
        "bound": claim.bound,
        "source": claim.source,
        "rule": claim.rule,
        "seeds": claim.seeds,
        "settings": {label: dict(settings) for label, settings in claim.at.items()},
        "reported": claim.reported,
        "scaled": claim.of.scaled,
        "why": claim.why if measured["verdict"] != "holds" else "",
    }


def _number(value: float) -> float | None:
    """Six significant digits, and None for NaN and infinity, which JSON does not have."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def path(name: str) -> Path:
    """Return where the measured claims of a paper are kept: `data/claims/<part>/<slug>.json`."""
    return catalogue.ROOT / "data" / "claims" / f"{catalogue.find(name)}.json"


def write(name: str, records: Sequence[Mapping[str, Any]]) -> Path:
    """Write measured claims with versions, atomically; returns the path.

    What was measured before of other claims of the paper stays. Raises `ValueError` as `read` does.
    """
    import torch

    declared = [claim.key for claim in catalogue.claims(name)]
    measured = {record["key"]: {key: record[key] for key in KEPT} for record in records}
    before = {} if set(declared) <= set(measured) else _kept(name)["claims"]
    kept = {**before, **measured}
    content = {
        "paper": catalogue.find(name),
        "versions": {
            "reglab": reglab.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
        "claims": [kept[key] for key in declared if key in kept],
    }
    target = path(name)
    with files.at_once(target) as temporary:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def _kept(name: str) -> dict[str, Any]:
    """Return what the file of a paper holds, its records by key; `ValueError` for a damaged file."""
    source = path(name)
    if not source.is_file():
        return {"versions": {}, "claims": {}}
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        records = [{key: record[key] for key in KEPT} for record in content["claims"]]
        return {"versions": content["versions"], "claims": {record["key"]: record for record in records}}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{source}: not a readable claims file; recompute it with `reglab check {name}`") from error


def read(name: str) -> dict[str, Any] | None:
    """Return what was measured of a paper, or None when nothing was; raises `ValueError` for a damaged file.

    `claims` has one record for each claim that the paper declares and that was measured: numbers and verdict from the
    file, words from the code. `date` tells when (the first and the last day, where they differ), `versions` with what
    the last one was measured, `stale` whether any must be measured again.
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
    }


def outdated(name: str) -> list[str]:
    """Return which claims of a paper must be measured: never measured, or what they depend on has changed since."""
    kept = {key: record["digest"] for key, record in _kept(name)["claims"].items()}
    return [claim.key for claim in catalogue.claims(name) if kept.get(claim.key) != digests.of_claim(claim)]


def stale(name: str) -> bool:
    """Tell whether what was measured of a paper is not what it claims: some claims are outdated, or there no longer."""
    declared = {claim.key for claim in catalogue.claims(name)}
    return bool(outdated(name)) or not declared.issuperset(_kept(name)["claims"])
