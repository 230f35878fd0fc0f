"""Thinning: what is kept of a run, chosen once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from reglab import catalogue
from reglab.experiment import Experiment
from reglab.pictures import Points
from reglab.pictures.panel import Use, uses
from reglab.recordings import thin


def axis(values: Any, log: bool = False) -> xr.DataArray:
    return xr.DataArray(np.asarray(values), dims="time", attrs={"log": int(log)})


def test_positions_are_evenly_chosen() -> None:
    np.testing.assert_array_equal(thin.evenly(axis(range(24)), 24), range(24))
    chosen = thin.evenly(axis(range(0, 1001, 10)), 24)
    assert len(chosen) == 24 and chosen[0] == 0 and chosen[-1] == 100
    assert set(np.diff(chosen)) == {4, 5}
    uneven = np.concatenate([np.arange(100), np.arange(100, 1000, 50)])
    assert np.diff(uneven[thin.evenly(axis(uneven), 12)]).max() <= 1.6 * 950 / 11


@given(count=st.integers(2, 300), most=st.integers(2, 40), log=st.booleans(), zero=st.booleans())
def test_first_and_last_are_always_kept(count: int, most: int, log: bool, zero: bool) -> None:
    values = np.unique(np.concatenate([[0] if zero else [1], np.geomspace(1, 5000, count).round()]))
    chosen = thin.evenly(axis(values, log), max(most, 3))
    assert chosen[0] == 0 and chosen[-1] == len(values) - 1 and len(chosen) <= max(most, 3)
    assert (np.diff(chosen) > 0).all()


def test_on_a_logarithmic_axis_positions_are_in_equal_ratios() -> None:
    times = np.concatenate([[0], np.geomspace(1, 1e4, 400)])
    chosen = times[thin.evenly(axis(times, log=True), 24)]
    assert chosen[0] == 0 and chosen[1] == 1 and chosen[-1] == pytest.approx(1e4)
    ratios = chosen[2:] / chosen[1:-1]
    assert ratios.max() / ratios.min() < 1.1


def bent(values: np.ndarray, most: int, errors: Any = 0.0, log: bool = False) -> np.ndarray:
    """Return the chosen positions of one curve."""
    curves = np.atleast_2d(values)
    return thin.bending(axis(np.arange(curves.shape[1]), log), most, curves, np.broadcast_to(errors, curves.shape))


def test_positions_are_chosen_where_curves_bend() -> None:
    steps = np.arange(51.0)
    early = 1 - np.exp(-steps / 2)
    chosen = bent(early, 14)
    assert {0, 1, 2, 3, 4, 50} <= set(chosen) and len(chosen) == 14 and np.diff(chosen).max() <= 9
    even = thin.evenly(axis(steps), 14)

    def worst(places: np.ndarray) -> float:
        return float(np.abs(np.interp(steps, places, early[places]) - early).max())

    assert worst(chosen) < worst(even) / 5
    both = bent(np.stack([early, early[::-1]]), 24)
    assert {0, 1, 2, 3, 47, 48, 49, 50} <= set(both), "every curve counts"


def test_what_is_within_the_error_of_a_mean_is_no_bend() -> None:
    noise = np.random.default_rng(0).normal(size=51) * 0.02
    early = 1 - np.exp(-np.arange(51) / 2)
    chosen = bent(early + noise, 14, errors=0.06)
    assert {0, 1, 2} <= set(chosen) and np.diff(chosen).max() <= 9 and np.diff(chosen)[3:].min() > 2
    straight = bent(np.zeros(51), 14)
    assert np.diff(straight).max() <= 8 and np.diff(straight).min() >= 2, "where nothing bends they are spread"


@given(count=st.integers(2, 60), most=st.integers(3, 24), log=st.booleans(), curves=st.integers(0, 3))
def test_chosen_positions_are_as_many_as_may_be_with_both_ends(count: int, most: int, log: bool, curves: int) -> None:
    values = np.random.default_rng(count).normal(size=(curves, count))
    chosen = bent(values, most, log=log)
    assert chosen[0] == 0 and chosen[-1] == count - 1 and len(chosen) == min(count, most)
    assert (np.diff(chosen) > 0).all()


def test_other_points_of_a_grid_are_thinned_like_the_first() -> None:
    kind = catalogue.experiment("early_learning", "LinearTheory")
    first, other = (kind.make({"steps": 400, "spread": spread}).run(2) for spread in (0.2, 0.4))
    like = thin.thin(first, kind)
    found = thin.thin(other, kind, like)
    assert found.sizes == like.sizes and like.sizes["time"] == 24
    np.testing.assert_array_equal(found.time, like.time)
    xr.testing.assert_identical(thin.thin(found, kind), found)
    assert not np.array_equal(thin.thin(other, kind).time, like.time), "by itself it would get other positions"
    with pytest.raises(KeyError, match="time"):
        thin.thin(other.isel(time=slice(5)), kind, like)


def whole_run(kind: type[Experiment]) -> xr.Dataset:
    """Return results of one seed with a number everywhere, on the axes of a run of 1300 steps."""
    return next(kind.make({"steps": 1300}).stream(1)).data.fillna(0.5)


def test_only_what_pictures_show_is_kept() -> None:
    collapse = catalogue.experiment("mode_collapse", "ModeCollapse")
    run = whole_run(collapse)
    data = thin.thin(run, collapse)
    assert "distance" in run and "distance" not in data
    assert data.sizes["step"] == 24 and data.sizes["point"] == 200 and data.sizes["seed"] == 1
    frames = data.samples.notnull().all(["point", "plane"])
    shown = {panel.arm for view in collapse.views for panel in view.panels if isinstance(panel, Points)}
    for arm in collapse.arms:
        steps = data.step.values[frames.sel(arm=arm).values]
        assert steps.tolist() == ([1300] if arm in shown else []), "a picture shows the last cloud only"
    assert data.fake_entropy.notnull().any(["step", "seed"]).sel(arm=["GAN", "MEE"]).all()
    assert data.fake_entropy.isnull().sel(arm="tuned GAN").all(), "no picture shows its codes"
    weight = catalogue.experiment("neural_collapse", "WeightDecay")
    data = thin.thin(weight(epochs=2).run(2), weight)
    there = data.test_accuracy.notnull().all("seed")
    assert there.any("arm").values.tolist() == [False, False, True], "of what is shown as dots the end is kept"
    assert there.sel(arm="base", epoch=2) and not there.sel(arm="hidden layer 1", epoch=2), "where a picture shows it"
    assert data.variability.sel(arm=["base", "hidden layers"]).notnull().all(), "of curves all positions"


def test_where_numbers_are_too_many_curves_get_fewer_positions() -> None:
    collapse = catalogue.experiment("mode_collapse", "ModeCollapse")
    run = whole_run(collapse)
    for copies, positions in ((1, 24), (8, 12), (16, 8)):
        data = thin.thin(run.isel(seed=[0] * copies), collapse)
        assert data.sizes["step"] == positions and data.step.values[[0, -1]].tolist() == [0, 1300]
        grid = math.prod(len(values) for values in collapse.grid.values())
        shown = [data[name] for name, use in uses(collapse).items() if use.shown]
        assert positions == thin.LEAST or grid * sum(int(one.notnull().sum()) for one in shown) <= thin.NUMBERS
        some = thin.thin(run.isel(seed=[0] * copies).sel(arm=["MEE", "official buffer"]), collapse, like=data)
        xr.testing.assert_identical(some, data.sel(arm=["MEE", "official buffer"]))  # whichever arms a point has


@given(reached=st.integers(0, 6), seeds=st.integers(1, 3))
def test_of_what_is_shown_as_dots_the_last_position_with_results_is_kept(reached: int, seeds: int) -> None:
    kind = catalogue.experiment("early_learning", "LinearTheory")
    values = np.arange(7.0 * seeds).reshape(seeds, 7)
    values[:, reached + 1 :] = np.nan
    values[0, reached + 1 - seeds :] = np.nan  # one seed may stop earlier
    time = ("time", np.arange(7.0), {"long_name": "time"})
    data = xr.Dataset({"x": (("seed", "time"), values), "y": (("seed", "time"), values)}, {"time": time})
    with pytest.MonkeyPatch.context() as patch:
        wanted = {"x": Use(set(), shown=True, cloud=False), "y": Use(set(), shown=True, whole=True, cloud=False)}
        patch.setattr(thin, "uses", lambda cls: wanted)
        found = thin.thin(data, kind)
    there = np.isfinite(values).any(0)
    last = np.flatnonzero(there)[-1] if there.any() else 0
    np.testing.assert_array_equal(found.x[:, last], values[:, last])
    assert found.x.isnull().sum() == values.size - np.isfinite(values[:, last]).sum()
    np.testing.assert_array_equal(found.y, values)
