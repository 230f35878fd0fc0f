"""Recordings: what a file gives back, and what happens to one that is damaged, foreign or old."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_recording
import xarray as xr
from small_recording import Small, accuracy

from reglab import catalogue, digests, results
from reglab.pictures import Curves, View, words
from reglab.pictures.chart import Chart
from reglab.pictures.panel import uses
from reglab.recordings import codec, store, thin

# ---------------------------------------------------------------------------------------------------- what is recorded


def test_the_recording_is_what_a_run_gives(small: Small) -> None:
    grid = store.read(small.kind)
    assert grid is not None
    like = thin.thin(small.sweep.point(small.sweep.home).run(small_recording.SEEDS), small.kind)
    for place in small.sweep.places:
        setting = small.at(place)
        run, found = setting.run(small_recording.SEEDS), store.at(setting)
        assert found is not None
        # what was computed: in a batch with all arms or with some
        computed = thin.thin(small.sweep.point(place).run(small_recording.SEEDS), small.kind, like)
        xr.testing.assert_identical(thin.thin(computed, small.kind), computed)  # thinned twice is thinned once
        assert {name: found.attrs[name] for name in found.attrs if name != "threads"} == {
            name: run.attrs[name] for name in run.attrs if name != "threads"
        }
        assert list(found.data_vars) == list(computed.data_vars)
        for name in found.coords:
            assert found[name].dtype == run[name].dtype and found[name].attrs == run[name].attrs
            assert set(found[name].values.tolist()) <= set(run[name].values.tolist())
        for name, values in found.data_vars.items():
            assert values.dims == run[name].dims and values.attrs == run[name].attrs and values.dtype == float
            limits, exact = uses(small.kind)[str(name)].limits, computed[name]
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


def test_pictures_and_sentence_come_from_the_recording_alone(small: Small) -> None:
    for place in small.sweep.places:
        found = store.at(small.at(place))
        assert found is not None
        for view in small.kind.views:
            assert "no data" not in Chart(found, view, small.kind.arms).describe()
        assert f"{small_recording.SEEDS} seeds" in words.sentence(found, small.kind.headline, small.kind.arms)


def test_an_arm_that_a_knob_does_not_touch_is_the_same_everywhere(small: Small) -> None:
    grid = store.read(small.kind)
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
    assert store.at(small.kind.make({**base, knobs[0]: beside})) is None
    for name in (name for name in base if name not in knobs):
        other = small.kind.knobs()[name]
        choices = [value for value in other.choices or other.stops or (other.low, other.high) if value != base[name]]
        assert store.at(small.kind.make({**base, name: choices[0]})) is None, name
    near = {knobs[0]: small.kind.grid[knobs[0]][1] * (1 + 1e-12)}  # as a slider may give it
    assert store.at(small.kind.make({**base, **near})) is not None


def test_the_same_grid_gives_the_same_bytes(curves: Small) -> None:
    before, grid = curves.path.read_bytes(), store.read(curves.kind)
    assert grid is not None
    time.sleep(1.1)  # a file format that notes the time would show
    for attribute in grid.data_vars.values():
        attribute.attrs.pop("accuracy", None)
    first = store.write(curves.paper, {curves.kind: grid}).read_bytes()
    time.sleep(1.1)
    assert store.write(curves.paper, {curves.kind: grid}).read_bytes() == first
    again = store.read(curves.kind)
    assert again is not None
    for name in grid.data_vars:
        most = accuracy(again[name])[1]
        np.testing.assert_allclose(again[name], grid[name], atol=most * (1 + 1e-6), rtol=0)
    assert len(before) == pytest.approx(len(first), rel=0.02)


def test_what_was_read_may_be_changed(curves: Small) -> None:
    first = store.read(curves.kind)
    assert first is not None
    first.cosine.values[:] = 7
    first.attrs["paper"] = "changed"
    again = store.read(curves.kind)
    assert again is not None and again.attrs["paper"] == "labels/early_learning" and float(again.cosine.max()) <= 1


# --------------------------------------------------------------------------------------- missing, damaged, foreign, old


def test_what_was_never_recorded_is_none(curves: Small) -> None:
    other = catalogue.experiment("early_learning", "Memorization")
    assert store.read(other) is None, "the file has no such group"
    curves.path.unlink()
    assert store.read(curves.kind) is None and store.at(curves.at((0, 0))) is None
    assert store.stale(curves.kind) == "not recorded"
    no_grid = catalogue.experiment("early_learning", "StoppingTime")
    assert store.at(no_grid()) is None and store.stale(no_grid) == ""


def refused(curves: Small) -> str:
    with pytest.raises(ValueError, match="record it again with `reglab record early_learning`") as caught:
        store.read(curves.kind)
    assert str(curves.path) in str(caught.value)
    assert store.stale(curves.kind) == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(curves: Small, share: float) -> None:
    content = curves.path.read_bytes()
    curves.path.write_bytes(content[: round(share * len(content))])
    assert "damaged, cut short" in refused(curves)


def test_no_damaged_number_is_ever_shown(curves: Small) -> None:
    content, chance = curves.path.read_bytes(), random.Random(1)
    for at in (0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(150))):
        damaged = bytearray(content)
        damaged[at] ^= 1 << chance.randrange(8)
        curves.path.unlink()
        curves.path.write_bytes(damaged)
        assert "damaged, cut short" in refused(curves)


def test_other_programs_read_a_recording(curves: Small) -> None:
    grid = store.read(curves.kind)
    assert grid is not None
    with xr.open_dataset(curves.path, engine="h5netcdf", group=curves.kind.__name__) as found:
        assert set(found.data_vars) == set(grid.data_vars) and found.attrs["paper"] == "labels/early_learning"


def test_foreign_files_are_refused(curves: Small, tmp_path: Path) -> None:
    curves.path.write_text("not a recording")
    refused(curves)
    results.save(curves.at((0, 0)).run(1), curves.path)
    assert "not a recording of labels/early_learning" in refused(curves)
    mode = catalogue.experiment("mode_collapse", "ModeCollapse")
    mine = store.path("mode_collapse")
    mine.parent.mkdir(parents=True, exist_ok=True)
    store.write("early_learning", {})
    mine.write_bytes(curves.path.read_bytes())
    with pytest.raises(
        ValueError, match=r"not a recording of generation/mode_collapse .* `reglab record mode_collapse`"
    ):
        store.read(mode)


def test_a_file_of_another_format_is_refused(curves: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FORMAT", store.FORMAT + 1)
    assert "that this version of the lab can read" in refused(curves)


def changed(curves: Small, words: str) -> None:
    grid = store.read(curves.kind)
    assert grid is not None and words in store.stale(curves.kind)
    assert store.at(curves.at((0, 0))) is None, "results of other code are not shown as results of this code"


def test_results_of_other_code_are_known_as_such(curves: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.stale(curves.kind) == "" and store.at(curves.at((0, 0))) is not None
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
    before, grid = curves.path.read_bytes(), store.read(curves.kind)
    assert grid is not None

    def broken(*arguments: Any) -> xr.Dataset:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(codec, "encode", broken)
    with pytest.raises(RuntimeError, match="in the middle"):
        store.write(curves.paper, {curves.kind: grid})
    assert curves.path.read_bytes() == before and list(curves.path.parent.iterdir()) == [curves.path]
