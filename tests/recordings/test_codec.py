"""Whole steps and back: how exactly numbers are kept, and that what is kept stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from small_recording import Small, accuracy

from reglab import catalogue
from reglab.pictures.panel import Use, uses
from reglab.recordings import codec, store


def test_numbers_are_rounded_to_a_small_share_of_their_span(small: Small) -> None:
    grid = store.read(small.kind)
    assert grid is not None
    for name, use in uses(small.kind).items():
        log, most = accuracy(grid[name])
        values = grid[name].values[np.isfinite(grid[name].values)]
        if log:
            values = np.log10(values[values > 0])
        steps = codec.CLOUD_STEPS if use.cloud else codec.STEPS
        assert most <= (values.max() - values.min()) / steps / 2 * (1 + 1e-9)


def one_variable(values: np.ndarray, use: Use, monkeypatch: pytest.MonkeyPatch) -> xr.DataArray:
    """Send one variable [knob, knob, seed] through coding and back."""
    kind = catalogue.experiment("early_learning", "LinearTheory")
    with monkeypatch.context() as patch:
        patch.setattr(kind, "grid", {"spread": tuple(range(values.shape[0])), "ratio": tuple(range(values.shape[1]))})
        patch.setattr(codec, "uses", lambda cls: {"x": use})
        grid = xr.Dataset({"x": (("spread", "ratio", "seed"), values)})
        return codec.decode(codec.spread(codec.encode(grid, kind))).x


numbers = st.floats(-1e6, 1e6) | st.just(np.nan) | st.just(0.0)


@given(values=arrays.arrays(float, (2, 3, 4), elements=numbers))
def test_rounding_is_within_what_is_declared(values: np.ndarray) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = one_variable(values, Use(set(), whole=True, cloud=False), patch)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    assert not found.values[values == 0].any(), "zero stays zero"
    most = found.attrs["accuracy"]
    np.testing.assert_allclose(found, values, atol=most * (1 + 1e-6) + 1e-9, rtol=1e-12)
    finite = values[np.isfinite(values)]
    assert not len(finite) or most <= max(1e-9, np.ptp(finite) / codec.STEPS / 2 * (1 + 1e-9)) or np.ptp(finite) == 0


@given(values=arrays.arrays(float, (2, 3, 4), elements=st.floats(1e-18, 1e9) | st.just(np.nan) | st.just(0.0)))
def test_logarithms_are_rounded_where_pictures_show_them(values: np.ndarray) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = one_variable(values, Use(set(), whole=True, log=True, cloud=False), patch)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    np.testing.assert_array_equal(found == 0, values == 0)
    there = values > 0
    if there.any():
        most = found.attrs["accuracy_log10"]
        np.testing.assert_allclose(np.log10(found.values[there]), np.log10(values[there]), atol=most + 1e-9, rtol=0)
        assert most <= max(27 / codec.STEPS / 2, 1 / codec.STEPS / 2) * (1 + 1e-9)


def test_whole_numbers_stay_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(-3, 4000, (2, 3, 5)).astype(float)
    values[0, 0, 0] = np.nan
    found = one_variable(values, Use(set(), cloud=False), monkeypatch)
    np.testing.assert_array_equal(found, values)
    assert found.attrs["accuracy"] == 0


def test_a_few_outliers_do_not_make_the_rest_coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (10, 10, 8))
    values[0, 0, 0] = 10.0
    found = one_variable(values, Use(set(), cloud=False), monkeypatch)
    assert found.attrs["accuracy"] < 1.01 / codec.STEPS / 2
    assert abs(found - values).max() < 1.01 / codec.STEPS / 2


# ------------------------------------------------------------------------------------------------ what is stored stays


@given(
    values=arrays.arrays(float, 30, elements=st.floats(-1e12, 1e12) | st.just(np.nan) | st.just(0.0)),
    offset=st.sampled_from([0.0, 1.0, 1e9]),
    log=st.booleans(),
    count=st.sampled_from([codec.STEPS, codec.CLOUD_STEPS]),
)
def test_what_was_quantized_stays_as_it_is(values: np.ndarray, offset: float, log: bool, count: int) -> None:
    values = (np.abs(values) if log else values) + offset
    scale = codec.fit_scale(values, log, count)
    steps = codec.quantize(values, scale)
    numbers = codec.dequantize(steps, scale)
    np.testing.assert_array_equal(codec.quantize(numbers, scale), steps)
    np.testing.assert_array_equal(codec.dequantize(codec.quantize(numbers, scale), scale), numbers)


def test_what_is_the_same_along_a_knob_is_stored_once(small: Small) -> None:
    grid, steps = store.read(small.kind), store.steps(small.kind)
    assert grid is not None and steps is not None
    raw = xr.load_dataset(small.path, engine="h5netcdf", group=small.kind.__name__, mask_and_scale=False)
    for variable, values in raw.data_vars.items():
        stored = values.values != codec.MISSING
        np.testing.assert_array_equal(values.values[stored], steps[variable].values[stored])
        more = (steps[variable].values != codec.MISSING) & ~stored
        assert more.any() == ("same_along" in values.attrs)
