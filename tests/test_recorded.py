"""Recordings: what is kept, how exactly, and what happens to a file that is damaged, foreign or old."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_recording
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reglab import catalogue, digests, results
from reglab.experiment import Experiment
from reglab.pictures import Curves, Points, View
from reglab.pictures.chart import Chart
from reglab.pictures.panel import Use
from reglab.pictures.words import sentence
from reglab.recordings import recorded, sweep

SMALL: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "curves": ("early_learning", "LinearTheory", small_recording.GRID, small_recording.SETTINGS),
    "a cloud": ("neural_collapse", "TiedFeatures", {"beta": (0.1, 10), "lambda_H": (0.05, 0.4)}, {"sigma": 0.5}),
    "films": ("mode_collapse", "ModeCollapse", {"strength": (0, 0.02), "rate_ratio": (0.25, 1)}, {"steps": 100}),
    "no arms": ("bayes_optimal_network", "Averaging", {"alpha": (0.1, 0.2), "sigma": (0, 0.5)}, {"steps": 100}),
}
"""Small recordings: paper, experiment, grid, other knobs."""


class Small:
    """A small recording in a folder of its own, and the runs it was made of."""

    def __init__(self, label: str, folder: Path, patch: pytest.MonkeyPatch, content: bytes = b"") -> None:
        self.paper, name, grid, self.settings = SMALL[label]
        self.kind: type[Experiment] = catalogue.experiment(self.paper, name)
        small_recording.plan(patch.setattr, folder, self.kind, grid, self.settings)
        (self.sweep,) = sweep.planned(self.paper)
        self.path = recorded.path(self.paper)
        if content:
            self.path.parent.mkdir(parents=True)
            self.path.write_bytes(content)
        else:
            sweep.record(self.paper, jobs=1)

    def at(self, place: tuple[int, ...]) -> Experiment:
        """Return the setting at a place of the grid, with all its arms."""
        chosen = {knob: self.kind.grid[knob][i] for knob, i in zip(self.kind.grid, place, strict=True)}
        return self.kind.make({**self.settings, **chosen})


@pytest.fixture(scope="module", params=SMALL)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """Return each of the small recordings."""
    with pytest.MonkeyPatch.context() as patch:
        yield Small(request.param, tmp_path_factory.mktemp("small"), patch)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a small recording."""
    with pytest.MonkeyPatch.context() as patch:
        return Small("curves", tmp_path_factory.mktemp("curves"), patch).path.read_bytes()


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> Small:
    """Return a small recording that a test may damage."""
    return Small("curves", tmp_path, monkeypatch, content)


# ---------------------------------------------------------------------------------------------------- what is recorded


def accuracy(values: xr.DataArray) -> tuple[bool, float]:
    """Return whether logarithms of a recorded variable were rounded, and by how much at most."""
    log = "accuracy_log10" in values.attrs
    return log, values.attrs["accuracy_log10" if log else "accuracy"]


def test_the_recording_is_what_a_run_gives(small: Small) -> None:
    grid = recorded.read(small.kind)
    assert grid is not None
    for place in small.sweep.places:
        setting = small.at(place)
        run, found = setting.run(small_recording.SEEDS), recorded.at(setting)
        assert found is not None
        # what was computed: in a batch with all arms or with some
        computed = recorded.thin(small.sweep.point(place).run(small_recording.SEEDS), small.kind)
        assert {name: found.attrs[name] for name in found.attrs if name != "threads"} == {
            name: run.attrs[name] for name in run.attrs if name != "threads"
        }
        assert list(found.data_vars) == list(computed.data_vars)
        for name in found.coords:
            assert found[name].dtype == run[name].dtype and found[name].attrs == run[name].attrs
            assert set(found[name].values.tolist()) <= set(run[name].values.tolist())
        for name, values in found.data_vars.items():
            assert values.dims == run[name].dims and values.attrs == run[name].attrs and values.dtype == float
            limits, exact = recorded.uses(small.kind)[str(name)].limits, computed[name]
            if "arm" in values.dims:
                values = values.sel(arm=exact.arm)
            np.testing.assert_array_equal(values.isnull(), exact.isnull())
            log, most = accuracy(grid[name])
            a, b = values.values, exact.values
            if limits is not None:
                a, b = a.clip(*limits), b.clip(*limits)
            if log:
                a, b = np.log10(a), np.log10(b)
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=most * (1 + 1e-6))


def test_numbers_are_rounded_to_a_small_share_of_their_span(small: Small) -> None:
    grid = recorded.read(small.kind)
    assert grid is not None
    for name, use in recorded.uses(small.kind).items():
        log, most = accuracy(grid[name])
        values = grid[name].values[np.isfinite(grid[name].values)]
        if log:
            values = np.log10(values[values > 0])
        steps = recorded.CLOUD_STEPS if use.cloud else recorded.STEPS
        assert most <= (values.max() - values.min()) / steps / 2 * (1 + 1e-9)


def test_pictures_and_sentence_come_from_the_recording_alone(small: Small) -> None:
    for place in small.sweep.places:
        found = recorded.at(small.at(place))
        assert found is not None
        for view in small.kind.views:
            assert "no data" not in Chart(found, view, small.kind.arms).describe()
        assert f"{small_recording.SEEDS} seeds" in sentence(found, small.kind.headline, small.kind.arms)


def test_an_arm_that_a_knob_does_not_touch_is_the_same_everywhere(small: Small) -> None:
    grid = recorded.read(small.kind)
    assert grid is not None
    for knob, arms in small.kind.unaffected.items():
        for name in (name for name in grid.data_vars if "arm" in grid[name].dims):
            part = grid[name].sel(arm=list(arms))
            np.testing.assert_array_equal(part, part.isel({knob: [0] * part.sizes[knob]}).transpose(*part.dims))


def test_nothing_is_recorded_beside_the_grid(small: Small) -> None:
    knobs, base = list(small.kind.grid), small.kind.make(small.settings).settings()
    declared = small.kind.knobs()[knobs[0]]
    beside = next(
        value for value in declared.stops or (declared.low, declared.high) if value not in small.kind.grid[knobs[0]]
    )
    assert recorded.at(small.kind.make({**base, knobs[0]: beside})) is None
    for name in (name for name in base if name not in knobs):
        other = small.kind.knobs()[name]
        choices = [value for value in other.choices or other.stops or (other.low, other.high) if value != base[name]]
        assert recorded.at(small.kind.make({**base, name: choices[0]})) is None, name
    near = {knobs[0]: small.kind.grid[knobs[0]][1] * (1 + 1e-12)}  # as a slider may give it
    assert recorded.at(small.kind.make({**base, **near})) is not None


def test_the_same_grid_gives_the_same_bytes(curves: Small) -> None:
    before, grid = curves.path.read_bytes(), recorded.read(curves.kind)
    assert grid is not None
    time.sleep(1.1)  # a file format that notes the time would show
    for attribute in grid.data_vars.values():
        attribute.attrs.pop("accuracy", None)
    first = recorded.write(curves.paper, {curves.kind: grid}).read_bytes()
    time.sleep(1.1)
    assert recorded.write(curves.paper, {curves.kind: grid}).read_bytes() == first
    again = recorded.read(curves.kind)
    assert again is not None
    for name in grid.data_vars:
        most = accuracy(again[name])[1]
        np.testing.assert_allclose(again[name], grid[name], atol=most * (1 + 1e-6), rtol=0)
    assert len(before) == pytest.approx(len(first), rel=0.02)


def test_what_was_read_may_be_changed(curves: Small) -> None:
    first = recorded.read(curves.kind)
    assert first is not None
    first.cosine.values[:] = 7
    first.attrs["paper"] = "changed"
    again = recorded.read(curves.kind)
    assert again is not None and again.attrs["paper"] == "labels/early_learning" and float(again.cosine.max()) <= 1


# ------------------------------------------------------------------------------------------------------------ thinning


def axis(values: Any, log: bool = False) -> xr.DataArray:
    return xr.DataArray(np.asarray(values), dims="time", attrs={"log": int(log)})


def test_positions_are_evenly_chosen() -> None:
    np.testing.assert_array_equal(recorded.evenly(axis(range(24)), 24), range(24))
    chosen = recorded.evenly(axis(range(0, 1001, 10)), 24)
    assert len(chosen) == 24 and chosen[0] == 0 and chosen[-1] == 100
    assert set(np.diff(chosen)) == {4, 5}
    uneven = np.concatenate([np.arange(100), np.arange(100, 1000, 50)])
    assert np.diff(uneven[recorded.evenly(axis(uneven), 12)]).max() <= 1.6 * 950 / 11


@given(count=st.integers(2, 300), most=st.integers(2, 40), log=st.booleans(), zero=st.booleans())
def test_first_and_last_are_always_kept(count: int, most: int, log: bool, zero: bool) -> None:
    values = np.unique(np.concatenate([[0] if zero else [1], np.geomspace(1, 5000, count).round()]))
    chosen = recorded.evenly(axis(values, log), max(most, 3))
    assert chosen[0] == 0 and chosen[-1] == len(values) - 1 and len(chosen) <= max(most, 3)
    assert (np.diff(chosen) > 0).all()


def test_on_a_logarithmic_axis_positions_are_in_equal_ratios() -> None:
    times = np.concatenate([[0], np.geomspace(1, 1e4, 400)])
    chosen = times[recorded.evenly(axis(times, log=True), 24)]
    assert chosen[0] == 0 and chosen[1] == 1 and chosen[-1] == pytest.approx(1e4)
    ratios = chosen[2:] / chosen[1:-1]
    assert ratios.max() / ratios.min() < 1.1


def test_only_what_pictures_show_is_kept() -> None:
    collapse = catalogue.experiment("mode_collapse", "ModeCollapse")
    run = collapse(steps=650).run(1)
    data = recorded.thin(run, collapse)
    assert "true_entropy" in run and "true_entropy" not in data
    assert data.sizes["step"] == 24 and data.sizes["point"] == 200 and data.sizes["seed"] == 1
    frames = data.samples.notnull().all(["point", "plane"])
    shown = {panel.arm for view in collapse.views for panel in view.panels if isinstance(panel, Points)}
    for arm in collapse.arms:
        steps = data.step.values[frames.sel(arm=arm).values]
        assert len(steps) == (4 if arm in shown else 0), arm
        assert arm not in shown or (steps[0] == 0 and steps[-1] == 650)
    assert data.fake_entropy.notnull().any(["step", "seed"]).sel(arm=["GAN", "MEE"]).all()
    assert data.fake_entropy.isnull().sel(arm="GAN, balanced").all(), "no picture shows its codes"
    weight = catalogue.experiment("neural_collapse", "WeightDecay")
    data = recorded.thin(weight(epochs=2).run(2), weight)
    there = data.train_error.notnull().all(["arm", "seed"]).values
    assert there.tolist() == [False, False, True], "of what is shown as dots the end is kept"
    assert data.variability.notnull().all()


# ------------------------------------------------------------------------------------------------------------ rounding


def one_variable(values: np.ndarray, use: Use, monkeypatch: pytest.MonkeyPatch) -> xr.DataArray:
    """Send one variable [knob, knob, seed] through coding and back."""
    kind = catalogue.experiment("early_learning", "LinearTheory")
    with monkeypatch.context() as patch:
        patch.setattr(kind, "grid", {"spread": tuple(range(values.shape[0])), "ratio": tuple(range(values.shape[1]))})
        patch.setattr(recorded, "uses", lambda cls: {"x": use})
        grid = xr.Dataset({"x": (("spread", "ratio", "seed"), values)})
        return recorded._decode(recorded._encode(grid, kind)).x


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
    assert not len(finite) or most <= max(1e-9, np.ptp(finite) / recorded.STEPS / 2 * (1 + 1e-9)) or np.ptp(finite) == 0


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
        assert most <= max(27 / recorded.STEPS / 2, 1 / recorded.STEPS / 2) * (1 + 1e-9)


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
    assert found.attrs["accuracy"] < 1.01 / recorded.STEPS / 2
    assert abs(found - values).max() < 1.01 / recorded.STEPS / 2


# --------------------------------------------------------------------------------------- missing, damaged, foreign, old


def test_what_was_never_recorded_is_none(curves: Small) -> None:
    other = catalogue.experiment("early_learning", "Memorization")
    assert recorded.read(other) is None, "the file has no such group"
    curves.path.unlink()
    assert recorded.read(curves.kind) is None and recorded.at(curves.at((0, 0))) is None
    assert recorded.stale(curves.kind) == "not recorded"
    no_grid = catalogue.experiment("early_learning", "StoppingTime")
    assert recorded.at(no_grid()) is None and recorded.stale(no_grid) == ""


def refused(curves: Small) -> str:
    with pytest.raises(ValueError, match="make it anew with `reglab record early_learning`") as caught:
        recorded.read(curves.kind)
    assert str(curves.path) in str(caught.value)
    assert recorded.stale(curves.kind) == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(curves: Small, share: float) -> None:
    content = curves.path.read_bytes()
    curves.path.write_bytes(content[: round(share * len(content))])
    assert "cut short or damaged" in refused(curves)


def test_no_damaged_number_is_ever_shown(curves: Small) -> None:
    content, whole = curves.path.read_bytes(), recorded.read(curves.kind)
    chance, refusals = random.Random(1), 0
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        curves.path.unlink()
        curves.path.write_bytes(damaged)
        try:
            found = recorded.read(curves.kind)
        except ValueError:
            refusals += 1
        else:
            assert found is not None
            xr.testing.assert_identical(found, whole)
    assert refusals > 10


def test_foreign_files_are_refused(curves: Small, tmp_path: Path) -> None:
    curves.path.write_text("not a recording")
    refused(curves)
    results.save(curves.at((0, 0)).run(1), curves.path)
    assert "not a recording of labels/early_learning" in refused(curves)
    mode = catalogue.experiment("mode_collapse", "ModeCollapse")
    mine = recorded.path("mode_collapse")
    mine.parent.mkdir(parents=True, exist_ok=True)
    recorded.write("early_learning", {})
    mine.write_bytes(curves.path.read_bytes())
    with pytest.raises(
        ValueError, match=r"not a recording of generation/mode_collapse .* `reglab record mode_collapse`"
    ):
        recorded.read(mode)


def test_a_file_of_another_format_is_refused(curves: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "FORMAT", recorded.FORMAT + 1)
    assert "that this version of the lab can read" in refused(curves)


def changed(curves: Small, words: str) -> None:
    grid = recorded.read(curves.kind)
    assert grid is not None and words in recorded.stale(curves.kind)
    assert recorded.at(curves.at((0, 0))) is None, "results of other code are not shown as results of this code"


def test_results_of_other_code_are_known_as_such(curves: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recorded.stale(curves.kind) == "" and recorded.at(curves.at((0, 0))) is not None
    with monkeypatch.context() as patch:
        patch.setattr(digests, "of_experiment", lambda kind: "0" * 16)
        changed(curves, "the code of the paper has changed")
    with monkeypatch.context() as patch:
        patch.setattr(curves.kind, "grid", {**small_recording.GRID, "spread": (0.1, 0.2, 0.3)})
        changed(curves, "its grid has changed")
    with monkeypatch.context() as patch:
        patch.setattr(curves.kind, "unaffected", {"ratio": ("ELR",)})
        changed(curves, "its grid has changed")
    with monkeypatch.context() as patch:
        patch.setattr(curves.kind, "views", (View("More", (Curves("How?", ["clean_true"]),)),))
        changed(curves, "a picture shows what was not recorded")


def test_a_recording_is_written_at_once(curves: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    before, grid = curves.path.read_bytes(), recorded.read(curves.kind)
    assert grid is not None

    def broken(*arguments: Any) -> str:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(recorded, "_checksum", broken)
    with pytest.raises(RuntimeError, match="in the middle"):
        recorded.write(curves.paper, {curves.kind: grid})
    assert curves.path.read_bytes() == before and list(curves.path.parent.iterdir()) == [curves.path]
