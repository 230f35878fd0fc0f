"""Spot checks: a recorded point is computed again and compared, so that a change of the core does not go unseen."""

from __future__ import annotations

import hashlib
import shlex
from typing import TYPE_CHECKING

import numpy as np

from reglab import catalogue
from reglab.experiment import Experiment
from reglab.recordings import alarms, store, sweep
from reglab.recordings.thin import thin
from reglab.statistics import over_seeds

if TYPE_CHECKING:
    import xarray as xr


class DiffersError(Exception):
    """Recorded results come out otherwise when they are computed again."""


def check(name: str, text: str) -> str:
    """Compute one recorded grid point of a paper again, chosen by a text, and compare it with the recording.

    Returns what was compared, in words. The mean over seeds of each variable and arm, along either half of a curve, may
    differ beyond luck by the experiment's `spot_tolerance`, a share of its span over the grid. A point that differs is
    followed by two others, chosen by the same text: a change that is real is seen there in the same way, luck is not
    (`reglab.recordings.alarms` says how likely), and is only told. What has no seeds must agree at once.
    Raises `ValueError` when there is no recording, `DiffersError` when the results are others.
    """
    tasks = [(plan, place) for plan in sweep.planned(name) for place in plan.places]
    if not tasks:
        return f"{catalogue.find(name)}: no grid is declared"
    plan, place = tasks[_drawn(text, catalogue.find(name)) % len(tasks)]
    kind = plan.kind
    if why := store.stale(kind):
        raise ValueError(f"{kind.paper()}:{kind.__name__}: {why}")
    where = f"{kind.paper()}:{kind.__name__} at {plan.label(place)}"
    first, allowed = _beyond_luck(plan, place, text), kind.spot_tolerance
    worst = max(first, key=lambda row: abs(first[row]), default=None)
    told = f"{where}: largest difference beyond luck "
    told += f"{100 * abs(first[worst]):.2g} % of the span over the grid ({worst})" if worst else "none"
    differing = {row for row, share in first.items() if abs(share) > allowed}
    if not differing:
        return told
    others = [place]
    for other in _further(plan, place, {row.arm for row in differing}, text):
        others.append(other)
        again = _beyond_luck(plan, other, text)
        same = {row for row in differing if abs(again.get(row, 0)) > allowed and first[row] * again[row] > 0}
        if not same:
            return f"{told}; {plan.label(other)} does not differ in this way, so it counts as luck"
        differing = same
    if len(others) <= alarms.FURTHER:
        return f"{told}; too few other points have this arm to tell it from luck"
    worst = max(differing, key=lambda row: abs(first[row]))
    raise DiffersError(
        f"{where} differs from the recording: {worst} is {'higher' if first[worst] > 0 else 'lower'} by "
        f"{100 * abs(first[worst]):.2g} % of its span over the grid, beyond luck ({100 * allowed:g} % are "
        f"allowed); so it is at {' and at '.join(map(plan.label, others[1:]))}. By luck this happens to a paper once "
        f"in {1 / alarms.SPOT:,.0f} runs at most. {_advice(kind, text)}"
    )


def _drawn(*words: object) -> int:
    """Return a number that texts choose."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, words)).encode()).digest()[:6], "big")


def _further(plan: sweep.Sweep, place: tuple[int, ...], arms: set[str], text: str) -> list[tuple[int, ...]]:
    """Return two other points, chosen by a text among those at which most of the arms that differ are computed."""

    def computed(other: tuple[int, ...]) -> int:
        return len(arms & {"", *plan.point(other).arms})

    others = [other for other in plan.places if other != place and computed(other)]
    return sorted(others, key=lambda other: (-computed(other), _drawn(text, *other)))[: alarms.FURTHER]


def _beyond_luck(plan: sweep.Sweep, place: tuple[int, ...], text: str) -> dict[alarms.Quantity, float]:
    """Compute a grid point again; return how far each comparison is beyond luck, as a share of the span over the grid.

    Raises `DiffersError` for what luck does not change: where there are results, and what has no seeds.
    """
    kind, label = plan.kind, f"{plan.kind.__name__} at {plan.label(place)}"
    grid = store.read(kind)
    assert grid is not None
    recorded, spans = grid.isel(dict(zip(kind.grid, place, strict=True))), alarms.spans(alarms.scaled(grid, grid, kind))
    run = _at_recorded_positions(sweep.run(plan, place), recorded)
    if run is None:
        raise DiffersError(f"{label}: positions of the recording are none of the run. {_advice(kind, text)}")
    # both as the pictures of today need them: those of the day of the recording may have shown more
    kept = [thin(data, kind) for data in (recorded, run)]
    old, new = (alarms.scaled(data, grid, kind) for data in kept)
    if kind.arms:
        old = old.sel(arm=new.arm)
    for variable, values in old.items():
        other = new[variable]
        of_luck = variable in kind.may_be_nan  # whether a seed has a number
        known, again = (over_seeds(one).notnull() if of_luck else one.notnull() for one in (values, other))
        if values.shape != other.shape or (known != again).any():
            raise DiffersError(f"{label}: {variable} has results elsewhere than the recording. {_advice(kind, text)}")
        if "seed" not in values.dims:
            values, other, everywhere = (_as_stored(data[variable], grid[variable]) for data in (*kept, grid))
            span, distance = float(everywhere.max() - everywhere.min()), float(abs(other - values).max())
            attributes = grid[variable].attrs
            accuracy = attributes["accuracy_log10" if "accuracy_log10" in attributes else "accuracy"]
            if distance > accuracy + alarms.ROUNDING * span:
                raise DiffersError(
                    f"{label}: {variable}, which has no seeds and no luck, differs from the recording by "
                    f"{100 * distance / span:.2g} % of its span over the grid. {_advice(kind, text)}"
                )
    before, now = alarms.rows(old), alarms.rows(new)
    return {
        row: float(alarms.excess(now[row] - before[row], alarms.POINT / len(before))) / (spans[row.variable] or 1)
        for row in before
    }


def _as_stored(values: xr.DataArray, recorded: xr.DataArray) -> xr.DataArray:
    """Return numbers in the form in which they were rounded: logarithms, as `alarms.scaled` takes them, or as they are.

    A picture may have got a logarithmic axis after the recording, or lost it.
    """
    return alarms.logarithms(values, recorded.values) if "accuracy_log10" in recorded.attrs else values


def _at_recorded_positions(run: xr.Dataset, recorded: xr.Dataset) -> xr.Dataset | None:
    """Return a run at the positions that were recorded; None where the run does not have them all."""
    axes = {dim: recorded[dim].values for dim in recorded.dims if dim not in ("arm", "seed")}
    if all(np.isin(places, run[dim].values).all() for dim, places in axes.items()):
        return run.sel(axes)
    return None


def _advice(kind: type[Experiment], text: str) -> str:
    slug = kind.paper().split("/")[1]
    return (
        f"If the change is meant, record it again: `reglab record {slug}`; "
        f"if not, this repeats the comparison alone: `reglab record {slug} --spot {shlex.quote(text)}`"
    )
