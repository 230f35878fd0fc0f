"""How often a recorded point raises an alarm by luck: resample the recorded seeds, and count.

    python tests/benchmarks/false_alarms.py [DRAWS]

Every grid point of every paper is compared with another draw of itself, as `spot.check` compares it, DRAWS times (4000
if not given; about two minutes a thousand). What is another draw, is made harder in four ways:

- "resampled": old and new numbers are drawn, with replacement, from the eight recorded seeds of the point;
- "as recorded": only the new ones are, the old ones stay;
- "neighbors": the scatter of the seeds at neighboring grid points belongs to the pool as well;
- "one in three": each seed is another draw with probability 1/3 and the same number otherwise.

The seeds of all variables and arms are drawn together, so that what depends on each other stays so. The columns are:

- `rows`: how many comparisons a point has at most;
- `point`: how often one point differs in any row;
- `paper`: how often a paper raises an alarm, which needs three points that differ in the same way; points are
  independent draws. For each row of comparison the three points' probability is at most the cube of the mean over
  the points (Maclaurin's inequality), and there are two directions. Taken at the upper end of the 95 % interval of each
  probability, so that what was never seen counts as three in all draws of the row;
- `tied`: the same, counted, if the three points were not independent: the same seeds are drawn at all of them. Not what
  happens (rounding goes other ways at other settings). Also the upper end of its interval: 0 of 32,000 are 9e-5.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reglab import catalogue
from reglab.recordings import alarms, store, sweep
from reglab.recordings.alarms import Quantity

KINDS = ("resampled", "as recorded", "neighbors", "one in three")


@dataclass
class Recorded:
    """What is compared of one grid: rows and, for each point where a row is computed, its seeds `[points, seeds]`."""

    name: str
    tolerance: float
    places: list[tuple[int, ...]]
    rows: dict[Quantity, np.ndarray]
    spans: dict[str, float]


def read(one: sweep.Sweep) -> Recorded:
    """Read a recorded grid."""
    grid = store.read(one.kind)
    assert grid is not None
    grid = alarms.scaled(grid, grid, one.kind)
    found: dict[Quantity, np.ndarray] = {}
    for at, place in enumerate(one.places):
        point = grid.isel(dict(zip(one.kind.grid, place, strict=True)))
        point = point.sel(arm=list(one.point(place).arms)) if one.kind.arms else point
        for row, seeds in alarms.rows(point).items():
            found.setdefault(row, np.full((len(one.places), one.seeds), np.nan))[at] = seeds
    return Recorded(one.kind.__name__, one.kind.spot_tolerance, one.places, found, alarms.spans(grid))


def differs(one: Recorded, kind: str, draws: int, source: np.random.Generator, tied: bool = False) -> np.ndarray:
    """Compare every point with other draws of itself; returns -1, 0 or 1, `[draws, rows, points]`."""
    values = np.stack([*one.rows.values()])  # [R, P, S]
    known = np.isfinite(values).all(-1)
    levels = alarms.POINT / np.maximum(known.sum(0), 1)
    limits = one.tolerance * np.array([one.spans[row.variable] for row in one.rows])
    points, seeds = values.shape[1:]
    found = np.zeros((draws, *known.shape), np.int8)
    pools = [np.array([at]) for at in range(points)]
    if kind == "neighbors":
        steps = [np.abs(np.subtract(one.places, place)).sum(1) for place in one.places]
        pools = [np.flatnonzero(step <= 1) for step in steps]
    middle = values.mean(-1, keepdims=True)
    luck = source.random((2, draws, seeds))
    for at in range(points):
        here = known[:, at]
        pool = (values - middle)[np.ix_(here, pools[at])] + middle[here, at][:, None]
        pool = np.where(np.isfinite(pool), pool, middle[here, at][:, None]).reshape(here.sum(), -1)
        luck = luck if tied else source.random((2, draws, seeds))
        new, old = (pool[:, (one_luck * pool.shape[1]).astype(int)] for one_luck in luck)  # [R, D, S]
        if kind != "resampled":
            old = values[here, at][:, None]
        if kind == "one in three":
            new = np.where(source.random((draws, seeds)) < 1 / 3, new, old)
        beyond = alarms.excess(new - old, levels[at])
        found[:, here, at] = np.where(np.abs(beyond) > limits[here, None], np.sign(beyond), 0).T
    return found


def upper(hits: np.ndarray | int, draws: np.ndarray | int) -> np.ndarray:
    """Return the upper end of the one-sided 95 % interval of a probability (Clopper and Pearson)."""
    return np.asarray(stats.beta.ppf(0.95, np.asarray(hits) + 1, np.asarray(draws) - hits))


def rates(one: Recorded, kind: str, draws: int, source: np.random.Generator, chunk: int = 500) -> dict[str, float]:
    """Return the rates of false alarms of one grid, as the columns name them."""
    counts, differing, done, tied, triples = np.zeros((2, len(one.rows))), 0, 0, 0, 0
    known = np.isfinite(np.stack([*one.rows.values()])).all(-1)
    for _ in range(0, draws, chunk):
        found = differs(one, kind, chunk, source)
        counts += np.stack([(found == sign).sum((0, 2)) for sign in (1, -1)])  # [2, R]
        differing += int(found.any(1).sum())
        done += chunk
    for _ in range(0, draws, chunk):
        found = differs(one, kind, chunk, source, tied=True)
        for _ in range(4):
            three = found[:, :, source.choice(len(one.places), 1 + alarms.FURTHER, replace=False)]
            tied += int(((three == 1).all(2) | (three == -1).all(2)).any(1).sum())
            triples += chunk
    tried = done * known.sum(1)  # [R]
    several = known.sum(1) > alarms.FURTHER
    cubes = upper(counts, tried) ** (1 + alarms.FURTHER) * several
    return {
        "rows": float(known.sum(0).max()),
        "point": differing / done / len(one.places),
        "paper": float(cubes.sum()),
        "tied": float(upper(tied, triples)),
    }


def main(draws: int) -> None:
    """Print the table."""
    source = np.random.default_rng(0)
    columns = ("rows", "point", "paper", "tied")
    print(f"{'paper':32}{'drawn':14}" + "".join(f"{column:>12}" for column in columns))
    worst: dict[str, float] = {}
    for name, kind in itertools.product(catalogue.SLUGS, KINDS):
        for one in map(read, sweep.planned(name)):
            found = rates(one, kind, draws, source)
            label = f"{name.split('/')[1]}:{one.name}"
            print(f"{label[:31]:32}{kind:14}" + "".join(f"{found[column]:12.2g}" for column in columns), flush=True)
            for column in columns:
                worst[column] = max(worst.get(column, 0), found[column])
    print(f"\nA point differs by luck at a rate of {worst['point']:.2g} at worst (allowed: {alarms.POINT:g}).")
    print(f"A paper raises an alarm at {worst['paper']:.2g} at worst (allowed: {alarms.SPOT:g});")
    print(
        f"{alarms.PAPERS} papers like the worst one: {alarms.PAPERS * worst['paper']:.2g} (allowed: {alarms.FAMILY:g})."
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
