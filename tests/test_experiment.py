"""Runs: what they compute, what they tell, how they can be stopped, and what is refused."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from walk import Walk

from reglab.papers.labels.early_learning.experiments import EarlyAccuracy, Memorization
from reglab.results import Frame, Tick
from reglab.seeds import Seeds, generator


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
    assert data.attrs["experiment"] == "Walk" and data.attrs["threads"] == 1
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


def test_numerical_settings_of_the_program_around_change_no_number_and_stay() -> None:
    plain = EarlyAccuracy(ratio=0.3).run(2), Memorization(epochs=1).run(1)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), np.errstate(all="raise"), warnings.catch_warnings(action="error"):
            events = Memorization(epochs=1).stream(1)
            next(events)
            assert torch.get_default_dtype() == torch.float64 and np.geterr()["under"] == "raise"
            assert not torch.is_grad_enabled()
            disturbed = EarlyAccuracy(ratio=0.3).run(2), Memorization(epochs=1).run(1)
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(plain, disturbed, strict=True):
        xr.testing.assert_identical(one, other)


def test_runs_compute_on_one_core_and_leave_the_others_as_they_were() -> None:
    class Watched(Walk):
        def frames(self, seeds: Any) -> Any:
            seen.append(torch.get_num_threads())
            yield from super().frames(seeds)

    seen: list[int] = []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        data = Watched().run(1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1] and data.attrs["threads"] == 1


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
