"""A paper's statement becomes a number: measured effect, paired over seeds, with an interval and a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reglab import statistics
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

GROUPS: dict[Group, str] = {"paper": "the paper says", "identity": "exact identities", "control": "our controls"}
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
        ends = self.within or [bound for bound in (self.above, self.below) if bound is not None]
        if not np.isfinite(ends).all() or ends[0] > ends[-1]:
            raise ValueError(f"claim {self.key!r}: the bound {self.bound} is none; it is finite, the smaller end first")
        for name, known in (("rule", RULES), ("group", GROUPS), ("source", SOURCES)):
            if getattr(self, name) not in known:
                raise ValueError(f"claim {self.key!r}: {name} {getattr(self, name)!r} is none of {', '.join(known)}")

    @property
    def exchanges(self) -> tuple[tuple[str, str], ...]:
        """The method with each null arm that takes its place to show that the claim does not hold for it, too.

        None for a claim that is not essential, and where the experiment has not one method and a null.
        """
        arms = {role: [arm for arm, one in self.of.arms.items() if one == role] for role in ("method", "null")}
        wanted = self.essential and len(arms["method"]) == 1
        return tuple((arms["method"][0], null) for null in arms["null"]) if wanted else ()

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
        Where results are infinite, or NaN without being declared so, the effect is NaN: a mean that leaves them out
        would be of other runs than it says. Raises `ValueError` for an effect of another shape than its rule asks for.
        """
        effect = np.asarray(self.effect(*datasets), dtype=float)
        if any(self._broken(data) for data in datasets):
            effect = np.full_like(effect, math.nan)
        if self.rule in ("exact", "bootstrap") and effect.ndim:
            raise ValueError(f"claim {self.key!r}: rule {self.rule!r} needs one number, the effect gave {effect.shape}")
        if self.rule == "exact":
            found = Interval(float(effect), float(effect), float(effect))
        elif self.rule == "bootstrap":
            found = Interval(*3 * [math.nan]) if np.isnan(effect) else statistics.bootstrap(self.effect, datasets)
        elif effect.ndim != 1:
            raise ValueError(f"claim {self.key!r}: rule {self.rule!r} needs one number per seed, got {effect.shape}")
        elif self.rule == "every seed":
            found = Interval(float(effect.mean()), float(effect.min()), float(effect.max()))
            verdict = self.verdict(found.low, found.high)
            return found, "does not hold" if verdict == "unclear" and not np.isnan(effect).any() else verdict
        else:
            found = Interval(*(float(end) for end in statistics.mean_interval(effect)))
        return found, self.verdict(found.low, found.high)

    def _broken(self, data: xr.Dataset) -> bool:
        """Tell whether results hold infinity, or NaN where none is declared."""
        allowed = self.of.may_be_nan
        return any(
            np.isinf(values).any() or (name not in allowed and values.isnull().any()) for name, values in data.items()
        )

    def judge_nulls(self, datasets: Sequence[xr.Dataset]) -> dict[str, tuple[Interval, Verdict]]:
        """Return the same for each null arm in the method's place, by its name, if that changes the effect.

        Their labels are exchanged in the data sets. An effect that stays the same is not about the method.
        """
        if not self.exchanges:
            return {}
        found, before = {}, np.asarray(self.effect(*datasets), dtype=float)
        for method, null in self.exchanges:
            other = [exchanged(data, method, null) for data in datasets]
            if not np.array_equal(before, np.asarray(self.effect(*other), dtype=float), equal_nan=True):
                found[null] = self.judge(other)
        return found


def exchanged(data: xr.Dataset, one: str, other: str) -> xr.Dataset:
    """Return some results with the labels of two arms exchanged; results without arms as they are."""
    if "arm" not in data.coords:
        return data
    labels = [{one: other, other: one}.get(arm, arm) for arm in data.arm.values.tolist()]
    return data.assign_coords(arm=("arm", np.array(labels, dtype=object), data.arm.attrs))
