"""Results as an experiment would give them, made of plain random numbers, for the tests of pictures."""

from __future__ import annotations

import numpy as np
import xarray as xr

from reglab.pictures import Curves, Dots, Line, Points, Shares, View

ARMS = {"plain": "baseline", "new": "method", "odd": "ablation"}
CURVES = Curves("Which is higher?", ["score"], peak="plain", lines=[Line("y", 0.5, "half"), Line("x", "stop", "stop")])
PARTS = Shares("Where does it go?", ["up", "down"], "new")
LOG = View("Log", (Curves("How small?", ["score"], ["new", "odd"], log=True, theory="formula"),))
VIEW = View("Both", (CURVES, PARTS))
DOTS = View("Dots", (Dots("Who wins?", "score", lines=[Line("x", 0.5, "half")]), Dots("And the loss?", "loss")))
CLOUD = Points("Where are they?", "cloud", "new", origin="start", groups="class", crosses="corner", limits=(-4, 4))
POINTS = View("Points", (CLOUD, Points("And here?", "cloud", "odd")))


def results(seeds: int = 6, times: int = 9, effect: float = 0.3) -> xr.Dataset:
    draws = np.random.default_rng(0)
    score = draws.normal(0.4, 0.05, size=(3, seeds, times)).cumsum(-1) / np.arange(1, times + 1)
    score[1] += effect
    up = draws.uniform(size=(3, seeds, times))
    cloud = draws.normal(size=(3, times, 20, 2))
    dims = ("arm", "seed", "time")
    data = xr.Dataset(
        {
            "score": (dims, score, {"units": "1", "long_name": "score", "low": 0, "high": 1}),
            "loss": (dims, 3 * score, {"units": "nat", "long_name": "loss"}),
            "up": (dims, up, {"units": "1", "long_name": "up"}),
            "down": (dims, 1 - up, {"units": "1", "long_name": "down"}),
            "formula": (("arm", "time"), score.mean(1), {"units": "1", "long_name": "formula"}),
            "stop": ("seed", np.full(seeds, 3.0), {"units": "1", "long_name": "stop"}),
            "cloud": (("arm", "time", "point", "plane"), cloud, {"units": "1", "long_name": "points"}),
            "start": (("arm", "point", "plane"), cloud[:, 0] - 1, {"units": "1", "long_name": "starts"}),
            "class": ("point", np.arange(20) % 3, {"units": "1", "long_name": "class"}),
            "corner": (("place", "plane"), np.array([[-3.0, -3], [3, 3]]), {"units": "1", "long_name": "corners"}),
            "deep": (("arm", "seed", "time", "kind"), score[..., None] * [1, 10], {"units": "1", "long_name": "deep"}),
        },
        {
            "arm": np.array(list(ARMS), dtype=object),
            "seed": np.arange(seeds),
            "time": ("time", np.arange(times), {"units": "s", "long_name": "time", "log": 0}),
            "kind": np.array(["a", "b"], dtype=object),
            "plane": np.array(["x", "y"], dtype=object),
        },
    )
    return data


def growing(data: xr.Dataset, known: int) -> xr.Dataset:
    """Return the data as it is on its way: NaN from the position `known` on."""
    return data.map(lambda one: one.where(one.time < known) if "time" in one.dims else one, keep_attrs=True)
