"""Spot checks: what has changed is found, what is luck is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import small_recording

from reglab import catalogue
from reglab.pictures import Curves, Dots, View
from reglab.recordings import store, sweep, thin

PAPER = small_recording.PAPER
Command = Callable[..., tuple[int, str, str]]


def test_spot_computes_one_point_again(planned: sweep.Sweep, command: Command) -> None:
    assert command("record", PAPER, "--jobs", "1")[0] == 0
    chosen = set()
    for text in "abcd":
        status, _, message = command("record", PAPER, "--spot", text)
        assert status == 0 and "LinearTheory at spread 0." in message and "largest difference" in message
        assert command("record", PAPER, "--spot", text)[2] == message
        chosen.add(message.split(":")[1])
    assert len(chosen) > 1, "another text chooses another point"


def test_spot_finds_what_has_changed(planned: sweep.Sweep, command: Command) -> None:
    sweep.compute([(planned, place) for place in planned.places], jobs=1)
    grid = sweep.gather(planned)
    span = float(grid.test_accuracy.mean("seed").max() - grid.test_accuracy.mean("seed").min())
    for change, status in ((0.6 * planned.kind.spot_tolerance, 0), (5 * planned.kind.spot_tolerance, 1)):
        store.write(PAPER, {planned.kind: grid.assign(test_accuracy=grid.test_accuracy - change * span)})
        found, _, message = command("record", PAPER, "--spot", "a b")
        assert found == status and "test_accuracy of" in message
        assert ("0.5 % are allowed" in message) == ("is higher by" in message) == bool(status)
        assert ("`reglab record early_learning --spot 'a b'`" in message) == bool(status)
    store.write(PAPER, {planned.kind: grid.assign(cosine=grid.cosine.where(grid.time > 3))})
    status, _, message = command("record", PAPER, "--spot", "a")
    assert status == 1 and "cosine has results elsewhere" in message
    store.write(PAPER, {planned.kind: grid.assign(cosine=grid.cosine.where(grid.seed > 0))})
    status, _, message = command("record", PAPER, "--spot", "a")
    assert status == 1 and "cosine has results elsewhere" in message, "one seed that has none counts"
    store.path(PAPER).unlink()
    status, _, message = command("record", PAPER, "--spot", "a")
    assert status == 1 and "not recorded" in message


def test_a_difference_at_one_point_only_is_told_and_counts_as_luck(planned: sweep.Sweep, command: Command) -> None:
    sweep.compute([(planned, place) for place in planned.places], jobs=1)
    grid = sweep.gather(planned)
    store.write(PAPER, {planned.kind: grid})
    label = command("record", PAPER, "--spot", "a")[2].split(" at ")[1].split(":")[0]
    (place,) = [place for place in planned.places if planned.label(place) == label]
    moved = grid.copy(deep=True)
    moved.test_accuracy[dict(zip(planned.kind.grid, place, strict=True))] -= 0.1
    store.write(PAPER, {planned.kind: moved})
    status, _, message = command("record", PAPER, "--spot", "a")
    assert status == 0 and "does not differ in this way, so it counts as luck" in message
    # elsewhere the other way: luck goes to either side, a change to one
    moved = grid.copy(deep=True)
    moved["test_accuracy"] = grid.test_accuracy + 0.1
    moved.test_accuracy[dict(zip(planned.kind.grid, place, strict=True))] -= 0.2
    store.write(PAPER, {planned.kind: moved})
    status, _, message = command("record", PAPER, "--spot", "a")
    assert status == 0 and "counts as luck" in message


def test_what_has_no_seeds_must_agree_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command
) -> None:
    kind = catalogue.experiment("neural_collapse", "ExactModel")
    small_recording.plan(
        monkeypatch.setattr, tmp_path, kind, {"beta": (0.1, 1), "lambda_H": (0.05, 0.2)}, {"duration": 2}
    )
    (plan,) = sweep.planned("neural_collapse")
    sweep.compute([(plan, place) for place in plan.places], jobs=1)
    grid = sweep.gather(plan)
    for change, status in ((0, 0), (1e-3, 1)):
        store.write("neural_collapse", {kind: grid.assign(levels=grid.levels + change)})
        found, _, message = command("record", "neural_collapse", "--spot", "a")
        assert found == status and ("levels, which has no seeds" in message) == bool(status)


@pytest.mark.parametrize("first", [False, True], ids=["linear", "log"])
def test_a_picture_may_get_or_lose_a_logarithmic_axis_after_the_recording(
    first: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command
) -> None:
    """What has no seeds is compared in the form in which it was rounded: near zero, logarithms lie further apart."""
    kind = catalogue.experiment("bayes_optimal_network", "Averaging")
    grid = {"alpha": (0.2, 0.45), "sigma": (0, 0.05)}
    small_recording.plan(monkeypatch.setattr, tmp_path, kind, grid, {"steps": 20})
    linear, log = ((View("", (Curves("", ["error"], theory="expected", log=log),)),) for log in (False, True))
    monkeypatch.setattr(kind, "views", log if first else linear)
    sweep.record("bayes_optimal_network", jobs=1)
    monkeypatch.setattr(kind, "views", linear if first else log)
    for text in "abcd":
        status, _, message = command("record", "bayes_optimal_network", "--spot", text)
        assert status == 0, message


def test_pictures_may_change_after_the_recording(
    planned: sweep.Sweep, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another choice of positions, or fewer curves, makes no recording differ."""
    with monkeypatch.context() as patch:
        patch.setattr(thin, "NUMBERS", 1)
        sweep.record(PAPER, jobs=1)
    grid = store.read(planned.kind)
    assert grid is not None and grid.sizes["time"] == thin.LEAST
    assert command("record", PAPER, "--spot", "a")[0] == 0
    monkeypatch.setattr(thin, "LEAST", 4)
    monkeypatch.setattr(thin, "NUMBERS", 1)
    assert command("record", PAPER, "--spot", "a")[0] == 0
    dots = View("Less", (Dots("How many?", "test_accuracy"),))
    monkeypatch.setattr(planned.kind, "views", (dots,))
    status, _, message = command("record", PAPER, "--spot", "a")
    assert (status == 0 and "test_accuracy of" in message) or "none" in message


def test_positions_that_a_run_no_longer_has_are_said(planned: sweep.Sweep, command: Command) -> None:
    sweep.compute([(planned, place) for place in planned.places], jobs=1)
    grid = sweep.gather(planned)
    store.write(PAPER, {planned.kind: grid.assign_coords(time=grid.time + 0.5)})
    status, _, message = command("record", PAPER, "--spot", "a")
    assert status == 1 and "positions of the recording are none of the run" in message
