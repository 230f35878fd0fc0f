"""Knobs, frames, runs and result files, on an experiment small enough to compute by hand."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from reglab import experiment
from reglab.data import Seeds, generator
from reglab.experiment import Axis, Experiment, Frame, Knob, Tick, Var, knob, share

SCALE = Knob(2.0, 0.5, 8.0, stops=(0.5, 1, 2, 8), help="factor of the second arm")


@dataclass(frozen=True)
class Walk(Experiment):
    """A random walk, and the same walk scaled."""

    drift: float = knob(0.5, low=-1, high=1, step=0.1, symbol="μ", help="added at each step")
    scale: float = knob(SCALE)
    steps: int = knob(4, low=1, high=50, step=1, help="how many steps")
    mirrored: bool = knob(False, help="walk the other way")
    law: str = knob("normal", choices=("normal", "uniform"), help="distribution of a step")

    arms = {"plain": "baseline", "scaled": "method"}
    outputs = {
        "place": Var("arm seed time", "place", "where the walk is", unit="m"),
        "end": share("seed", "end", "share of steps to the right"),
    }
    smoke = {"steps": 2}

    def axes(self) -> dict[str, Axis]:
        return {"time": Axis(range(self.steps + 1), unit="s", label="time"), "kind": Axis(["a", "b"])}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        draw = torch.randn if self.law == "normal" else torch.rand
        moves = torch.stack([draw(self.steps, generator=generator(seed, "walk")) for seed in seeds]) + self.drift
        place = torch.zeros(len(seeds))
        for t in range(self.steps + 1):
            yield Frame({"time": t, "arm": "plain"}, {"place": place})
            yield Frame({"time": t, "arm": ["scaled"]}, {"place": self.scale * place[None]})
            if t < self.steps:
                place = place + (-moves if self.mirrored else moves)[:, t]
            yield Tick((t + 1) / (self.steps + 1))
        yield Frame({}, {"end": (moves > 0).float().mean(1)})


# ---------------------------------------------------------------------------------------------------------- knobs


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("drift", 1.7, "a number from -1 to 1"),
        ("drift", math.nan, "a number from -1 to 1"),
        ("drift", math.inf, "a number from -1 to 1"),
        ("drift", "much", "a number from -1 to 1"),
        ("drift", None, "a number from -1 to 1"),
        ("drift", True, "a number from -1 to 1"),
        ("drift", [0.5], "a number from -1 to 1"),
        ("scale", 0.4, "a number from 0.5 to 8"),
        ("steps", 2.5, "a whole number from 1 to 50"),
        ("steps", 0, "a whole number from 1 to 50"),
        ("steps", 10**310, "a whole number from 1 to 50"),
        ("steps", True, "a whole number from 1 to 50"),
        ("steps", math.nan, "a whole number from 1 to 50"),
        ("mirrored", 1, "true or false"),
        ("mirrored", "yes", "true or false"),
        ("law", "cauchy", "one of 'normal', 'uniform'"),
        ("law", 3, "one of 'normal', 'uniform'"),
        ("law", ["normal"], "one of 'normal', 'uniform'"),
    ],
)
def test_a_bad_value_names_knob_value_and_range(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(ValueError) as error:
        Walk(**{name: value})
    assert str(error.value) == f"{name} = {value!r}: the knob {name!r} takes {allowed}"


@given(st.floats(-1, 1), st.integers(1, 50))
def test_good_values_are_kept_in_the_type_of_the_knob(drift: float, steps: int) -> None:
    walk = Walk(drift=np.float64(drift), steps=float(steps))  # type: ignore[arg-type]
    assert (walk.drift, walk.steps) == (drift, steps)
    assert type(walk.drift) is float and type(walk.steps) is int
    assert Walk.make({"drift": str(drift), "steps": str(steps)}) == walk


def test_the_ends_of_a_range_belong_to_it() -> None:
    assert (
        Walk(drift=-1, steps=50, scale=0.5).settings()
        == Walk.make({"drift": "-1", "steps": "50", "scale": "0.5"}).settings()
    )


def test_texts_are_read_as_the_command_line_writes_them() -> None:
    made = Walk.make({"drift": "1e-1", "steps": "3", "mirrored": "True", "law": "uniform"})
    assert made == Walk(drift=0.1, steps=3, mirrored=True, law="uniform")


@pytest.mark.parametrize("text", ["", "nan", "inf", "three", "2.5", "0x3"])
def test_bad_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the knob 'steps' takes a whole number from 1 to 50"):
        Walk.make({"steps": text})


def test_an_unknown_knob_suggests_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"Walk has no knob 'drfit'; did you mean 'drift'.*its knobs: drift, scale"):
        Walk.make({"drfit": 0.1})
    with pytest.raises(KeyError) as error:
        Walk.make({"zzz": 1})
    assert "did you mean" not in str(error.value) and "steps" in str(error.value)


def test_a_numeric_knob_needs_a_range() -> None:
    with pytest.raises(ValueError, match="needs low and high, or stops"):
        knob(1.0, low=0)
    assert knob(1.0, stops=(4, 0, 1)).metadata["knob"].range == "a number from 0 to 4"


# --------------------------------------------------------------------------------------------------------- running


def test_results_are_computed_named_and_explained() -> None:
    data = Walk(steps=3).run([5, 2])
    moves = torch.stack([torch.randn(3, generator=generator(seed, "walk")) for seed in (5, 2)]) + 0.5
    place = np.concatenate([np.zeros((2, 1)), moves.cumsum(1)], 1)
    np.testing.assert_allclose(data.place.sel(arm="plain").transpose("seed", "time"), place, atol=1e-6)
    np.testing.assert_allclose(data.place.sel(arm="scaled").transpose("seed", "time"), 2 * place, atol=1e-6)
    assert data.place.dims == ("arm", "seed", "time") and data.seed.values.tolist() == [5, 2]
    assert data.place.attrs == {"units": "m", "long_name": "place", "description": "where the walk is"}
    assert data.end.attrs["low"] == 0 and data.end.attrs["high"] == 1
    assert data.time.attrs == {"units": "s", "long_name": "time", "log": 0}
    assert data.kind.values.tolist() == ["a", "b"]


def test_results_carry_what_made_them() -> None:
    data = Walk(drift=0.25).run(1)
    assert json.loads(data.attrs["knobs"]) == Walk(drift=0.25).settings()
    assert data.attrs["experiment"] == "Walk" and data.attrs["threads"] == torch.get_num_threads()
    assert json.loads(data.attrs["versions"])["torch"] == torch.__version__


def test_a_stream_yields_growing_results() -> None:
    known, fractions = [], []
    for snapshot in Walk().stream(2):
        known.append(int(np.isfinite(snapshot.data.place).sum()))
        fractions.append(snapshot.fraction)
        assert snapshot.grew == (len(known) == 1 or known[-1] > known[-2]) or snapshot.fraction == 1
    assert known[0] == 2 and known[-1] == 20 and known == sorted(known)
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1


def test_a_stopped_stream_leaves_what_it_has() -> None:
    data = next(Walk().stream(2)).data
    assert int(np.isfinite(data.place).sum()) == 2


def test_progress_is_told() -> None:
    told: list[float] = []
    Walk().run(1, told.append)
    assert told[-1] == 1 and len(told) > 5


@pytest.mark.parametrize("seeds", [0, -2, True, [], [1, 1]])
def test_bad_seeds_are_refused_before_anything_runs(seeds: Any) -> None:
    with pytest.raises(ValueError, match="seeds = "):
        Walk().run(seeds)


@pytest.mark.parametrize(
    ("frame", "unknown"),
    [
        (Frame({"time": 0}, {"plaice": [[0.0]] * 2}), "plaice"),
        (Frame({"tine": 0}, {"end": [0.0]}), "tine"),
        (Frame({"arm": "plane"}, {"place": 0.0}), "plane"),
    ],
)
def test_a_frame_that_names_the_unknown_is_an_error(frame: Frame, unknown: str) -> None:
    class Broken(Walk):
        def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
            yield frame

    with pytest.raises((KeyError, ValueError), match=unknown):
        Broken().run(1)


def test_the_global_random_state_is_untouched() -> None:
    def state() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]

    before = state()
    Walk().run(3)
    assert state() == before


def test_the_same_seeds_give_the_same_numbers() -> None:
    xr.testing.assert_identical(Walk().run(3), Walk().run(3))
    xr.testing.assert_allclose(Walk().run([2]), Walk().run(3).sel(seed=[2]), atol=1e-6)


# ----------------------------------------------------------------------------------------------------------- files


@pytest.fixture
def results() -> xr.Dataset:
    return Walk(drift=-0.3, law="uniform").run([7, 3])


def test_a_file_gives_back_exactly_what_was_saved(results: xr.Dataset, tmp_path: Path) -> None:
    results["place"][0, 0, 0] = np.nan
    path = tmp_path / "walk.nc"
    experiment.save(results, path)
    loaded = experiment.load(path, of=Walk)
    xr.testing.assert_identical(loaded, results)
    assert type(loaded.attrs["threads"]) is int
    assert [p.name for p in tmp_path.iterdir()] == ["walk.nc"]


def test_saving_replaces_an_older_file(results: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "walk.nc"
    path.write_text("older")
    experiment.save(results, path)
    xr.testing.assert_identical(experiment.load(path), results)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.3, 0.5, 0.9, -1])
def test_a_truncated_file_is_refused(results: xr.Dataset, tmp_path: Path, kept: float) -> None:
    path = tmp_path / "cut.nc"
    experiment.save(results, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(ValueError, match=r"cut\.nc: not a readable result file"):
        experiment.load(path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # h5netcdf on a file it could not open
@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_file_is_refused_or_read_right(results: xr.Dataset, tmp_path: Path, at: float) -> None:
    path = tmp_path / "damaged.nc"
    experiment.save(results, path)
    content = bytearray(path.read_bytes())
    start = int(at * len(content))
    content[start : start + 200] = bytes(255 - byte for byte in content[start : start + 200])
    path.write_bytes(content)
    try:
        loaded = experiment.load(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        xr.testing.assert_identical(loaded, results)


def test_other_files_are_refused(results: xr.Dataset, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Other(Walk):
        pass

    path = tmp_path / "walk.nc"
    experiment.save(results, path)
    with pytest.raises(ValueError, match=r"walk\.nc: a result of .*:Walk, not of .*:Other"):
        experiment.load(path, of=Other)
    foreign = tmp_path / "foreign.nc"
    xr.Dataset({"x": ("t", np.arange(3.0))}).to_netcdf(foreign, engine="h5netcdf")
    with pytest.raises(ValueError, match=r"foreign\.nc: a NetCDF file, but not a result of RegLab"):
        experiment.load(foreign)
    text = tmp_path / "text.nc"
    text.write_text("not a result")
    with pytest.raises(ValueError, match=r"text\.nc: not a readable"):
        experiment.load(text)
    for missing in (tmp_path / "missing.nc", tmp_path):
        with pytest.raises(ValueError, match=f"{missing}: there is no such file"):
            experiment.load(missing)


def test_a_file_that_says_less_than_it_should_is_refused(results: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "less.nc"
    del results.attrs["threads"]
    experiment.save(results, path)
    with pytest.raises(ValueError, match=r"less\.nc: a NetCDF file, but not a result of RegLab"):
        experiment.load(path)


def test_where_nothing_can_be_written_nothing_is_left(results: xr.Dataset, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (tmp_path / "missing" / "a.nc", blocked / "a.nc", folder):
        with pytest.raises(ValueError) as error:
            experiment.save(results, path)
        assert f"cannot write {path}: " in str(error.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
