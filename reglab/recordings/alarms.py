"""How likely a check fails though nothing has changed, and what keeps all checks together below one in a thousand runs.

Long training amplifies the rounding of another processor, another number of threads or another library until every
seed ends as another draw. A comparison of such numbers can fail by luck, so each states how likely that is, and a test
(`tests/recordings/test_alarms.py`) adds up what one run of `.ci/run` can do at worst, by the union bound:

    43 papers · (SPOT, a recorded point  +  CLAIM, robust claims  +  CHOICE, chosen settings)
    +  all `@pytest.mark.alarm`  <  FAMILY

A recorded point is compared in many rows: each variable, arm and half of a curve. One point differs by luck in some
row with probability POINT, if numbers are normal (Student's t, shared among the rows). It is an alarm only where two
further points, independent draws, differ in the same row and direction.

That bounds the alarms whatever the distribution. If old and new numbers are two draws of the same for each seed, their
differences are symmetric around zero. Where at least five rows share POINT, the mean of eight seeds must be more than 7
standard errors from zero, which is possible only if all eight differences have the same sign: probability 2^-8 for one
direction. At three points it is 2·2^-24 for a row, and 1e-5 for a paper of up to 83 rows. What has no seeds knows
no luck. `tests/benchmarks/false_alarms.py` finds the real rate, far lower, by drawing recorded seeds again.

Hypothesis draws the same examples in every run where the variable `CI` is set, as `.ci/run` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from reglab.pictures.panel import uses
from reglab.statistics import over_seeds, quantile

if TYPE_CHECKING:
    import xarray as xr

    from reglab.claims import Claim
    from reglab.experiment import Experiment

FAMILY = 1e-3
"""One run of `.ci/run` with all papers fails by luck with this probability at most."""

PAPERS = 43

POINT = 1e-3
"""One recorded point, computed again, differs somewhere by luck with this probability at most."""

FURTHER = 2
"""So many further points must differ in the same way before it is an alarm."""

SPOT = 1e-5
"""The recorded points of one paper raise an alarm by luck with this probability at most, whatever the distribution."""

CLAIM = 1e-7
"""Each robust claim, measured again, gets another verdict by luck with this probability at most."""

CHOICE = 1e-6
"""A candidate is better than a setting that one paper has chosen by luck with this probability at most, if normal."""

ROUNDING = 1e-4
"""What has no seeds is no matter of luck: it may differ by the recording's rounding and this share of its span."""


# ---------------------------------------------------------------------------------------------------- recorded points


class Quantity(NamedTuple):
    """One comparison: a variable of an arm ("" without arms), along a half of its curve ("" for one number)."""

    variable: str
    arm: str
    half: str

    def __str__(self) -> str:
        return self.variable + (f" of {self.arm}" if self.arm else "") + (f" ({self.half} half)" if self.half else "")


def scaled(data: xr.Dataset, grid: xr.Dataset, kind: type[Experiment]) -> xr.Dataset:
    """Return the variables that are compared; those with a logarithmic axis as logarithms to base 10.

    What lies below the smallest number of the recorded `grid` counts as that. Clouds of points, which show one seed,
    are not compared.
    """
    kept = {}
    for name, use in uses(kind).items():
        if use.cloud:
            continue
        values, known = data[name], grid[name].values
        positive = use.log and bool(np.nanmin(known) >= 0 and np.nanmax(known) > 0)
        kept[name] = logarithms(values, known) if positive else values
    return data[[]].assign(kept)


def logarithms(values: xr.DataArray, known: np.ndarray) -> xr.DataArray:
    """Return logarithms to base 10; what lies below the smallest positive of the `known` numbers counts as that."""
    return values.copy(data=np.log10(values.values.clip(known[known > 0].min())))


def spans(grid: xr.Dataset) -> dict[str, float]:
    """Return what the mean over seeds of each variable spans over a recorded grid."""
    means = {str(name): over_seeds(values) for name, values in grid.items()}
    return {name: float(values.max() - values.min()) for name, values in means.items()}


def rows(data: xr.Dataset) -> dict[Quantity, np.ndarray]:
    """Return what is compared at one point: `[seeds]` for each variable with seeds, arm and half of its last axis.

    Each number is the mean over all positions of that half; a single peak, which rounding moves in time, does not count
    much. What is known at one end only is one number.
    """
    found = {}
    for name, values in data.items():
        if "seed" not in values.dims:
            continue
        for arm in data.arm.values.tolist() if "arm" in values.dims else [""]:
            one = (values.sel(arm=arm) if arm else values).transpose("seed", ...).values
            one = one.reshape(len(one), -1, one.shape[-1] if one.ndim > 1 else 1)
            middle = (one.shape[-1] + 1) // 2
            halves = {"first": one[..., :middle], "second": one[..., middle:]}
            known = {half: part for half, part in halves.items() if np.isfinite(part).any()}
            for half, part in known.items():
                found[Quantity(str(name), arm, half if len(known) > 1 else "")] = np.nanmean(part, (1, 2))
    return found


def excess(change: np.ndarray, level: float) -> np.ndarray:
    """Return by how much the mean change of paired seeds, `[..., seeds]`, is beyond luck, with its sign; 0 if not.

    `level` is the probability of another result than 0 when the changes are normal around zero (Student's t). Seeds
    without a number do not count. One seed has no spread to judge by, and its change counts whole.
    """
    from scipy.special import stdtrit

    count = np.isfinite(change).sum(-1)
    free, divisor = np.maximum(count - 1, 1), np.maximum(count, 1)
    mean = np.nansum(change, -1) / divisor
    error = np.sqrt(np.nansum((change - mean[..., None]) ** 2, -1) / free / divisor)
    luck = stdtrit(free, 1 - level / 2) * error
    return np.sign(mean) * np.clip(np.abs(mean) - luck, 0, None)


# ------------------------------------------------------------------------------------------------------------- claims


def other_verdict(claim: Claim, effect: float, low: float, high: float, seeds: int) -> float:
    """Return the probability that a claim that holds is measured again as not holding, if every seed is another draw.

    The arguments are what was measured. The effect of a seed is normal with the measured mean and spread: for the rule
    "interval" this is the noncentral t distribution, for "every seed" the probability of the outermost of `seeds`,
    with the spread that their range suggests. That is more than rounding does, which leaves data and first weights as
    they are. What was measured without spread (always so for the rule "exact", which is for closed forms) knows
    rounding only: 0 if the bound is further off than that. Raises `ValueError` for the rule "bootstrap", whose
    distribution is not known.
    """
    from scipy import stats
    from scipy.special import ndtr

    ends = claim.within or (
        -np.inf if claim.above is None else claim.above,
        np.inf if claim.below is None else claim.below,
    )
    gaps = [gap for gap in (effect - ends[0], ends[1] - effect) if np.isfinite(gap)]
    if claim.rule == "bootstrap":
        raise ValueError(
            f"claim {claim.key!r}: how often a bootstrap interval moves is not known; choose another claim"
        )
    if low == high:
        return float(min(gaps) < 1e-3 * abs(effect))
    if claim.rule == "every seed":
        normal = stats.norm.rvs(size=(100_000, seeds), random_state=0)
        spread = (high - low) / float(np.ptp(normal, 1).mean())
        return float(sum(seeds * ndtr(-gap / spread) for gap in gaps))
    error = (high - low) / 2 / quantile(seeds)
    share = np.linspace(0, 40, 400_001)[1:]  # of the true spread that is measured
    weight = stats.chi(seeds - 1, scale=(seeds - 1) ** -0.5).pdf(share) * (share[1] - share[0])
    return float(sum(weight @ ndtr(quantile(seeds) * share - gap / error) for gap in gaps))
