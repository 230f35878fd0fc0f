"""Sweeps: real processes that are killed, a real Dask cluster, and always the same bytes in the end."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import processes
import psutil
import pytest
import small_recording
import torch
import xarray as xr

from reglab import catalogue, digests, experiment
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.recordings import store, sweep
from reglab.recordings.thin import thin
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds

PAPER = small_recording.PAPER
FILE = f"recorded/labels/{PAPER}.nc"


Command = Callable[..., tuple[int, str, str]]


def kept(folder: Path) -> list[Path]:
    """Return the finished points in the cache of a folder."""
    return sorted(folder.glob("cache/**/*.nc"))


def finish(process: Any, folder: Path) -> bytes:
    """Wait for the end of a command that must succeed, and return what it recorded."""
    _, messages = process.communicate(timeout=processes.GUARD)
    assert process.returncode == 0, messages
    assert [path.name for path in (folder / FILE).parent.iterdir()] == [Path(FILE).name]
    assert not kept(folder), "what was recorded needs no cache"
    return (folder / FILE).read_bytes()


# ------------------------------------------------------------------------------------------------------ the same bytes


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_number_of_processes_changes_no_byte(planned: sweep.Sweep, whole: bytes, jobs: int) -> None:
    threads, seen = torch.get_num_threads(), []
    path = sweep.record(PAPER, jobs, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == whole
    assert seen[0] == (0, 6) and seen[-1] == (6, 6) and seen == sorted(seen)
    assert torch.get_num_threads() == threads


def test_one_thread_computes_whatever_this_process_has(planned: sweep.Sweep, whole: bytes) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert sweep.record(PAPER, jobs=1).read_bytes() == whole
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def spent(process: Any) -> float:
    """Return the seconds that processors have worked for a command and its workers."""
    return sum(sum(one.cpu_times()[:2]) for one in processes.family(process) if processes.alive(one))


def wait_until_spent(process: Any, seconds: float) -> None:
    """Wait until so much work was done for a command, or until it has ended."""
    processes.wait_for(lambda: process.poll() is not None or spent(process) > seconds)


def kill(process: Any) -> None:
    """Kill a command alone, and wait until the workers that it leaves have ended, which they do by themselves."""
    members = processes.family(process)
    process.kill()
    process.communicate()
    assert not psutil.wait_procs(members, timeout=processes.GUARD)[1], "no worker outlives the command for long"


def test_killed_at_any_moment_it_goes_on(tmp_path: Path, whole: bytes) -> None:
    """A moment is how much computing, by the command and its workers, there has been since the start."""
    chance = random.Random()
    process = small_recording.start(tmp_path, "record", PAPER, "--jobs", "2")
    processes.wait_for(lambda: kept(tmp_path), process)
    usual = spent(process)  # from the start to the first finished point
    kill(process)
    for _ in range(3):
        before = len(kept(tmp_path))
        assert before or (tmp_path / FILE).exists(), "points were kept"
        process = small_recording.start(tmp_path, "record", PAPER, "--jobs", "2")
        wait_until_spent(process, chance.uniform(0.2, 1.2) * usual)
        kill(process)
        assert len(kept(tmp_path)) >= before or (tmp_path / FILE).exists(), "what was kept stays"
    assert finish(small_recording.start(tmp_path, "record", PAPER, "--jobs", "1"), tmp_path) == whole


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_ends_at_once_and_keeps_what_is_finished(tmp_path: Path, number: int, status: int) -> None:
    process = small_recording.start(tmp_path, "record", PAPER, "--jobs", "2", how="many")
    processes.wait_for(lambda: kept(tmp_path), process)
    members = processes.family(process)
    process.send_signal(number)
    output, messages = process.communicate(timeout=processes.GUARD)
    assert (process.returncode, output) == (status, "")
    assert messages.endswith("Stopped.\n") == (number == signal.SIGINT) and "Warning" not in messages
    assert kept(tmp_path) and not psutil.wait_procs(members, timeout=processes.GUARD)[1]


def test_finished_points_are_not_computed_again(planned: sweep.Sweep, whole: bytes, tmp_path: Path) -> None:
    tasks = [(planned, place) for place in planned.places]
    sweep.compute(tasks[:3], jobs=1)
    times = {path: path.stat().st_mtime_ns for path in kept(tmp_path)}
    assert len(times) == 4 and planned.file(planned.home) in times, "the default comes first, asked for or not"
    sweep.compute(tasks, jobs=1)
    assert {path: path.stat().st_mtime_ns for path in times} == times and len(kept(tmp_path)) == 6
    first, second, third, *_ = kept(tmp_path)
    first.write_bytes(first.read_bytes()[:1000])
    second.write_bytes(b"")
    third.with_name("0-0.nc.tmp").write_bytes(b"half a file of a run that was killed")
    assert sweep.record(PAPER, jobs=1).read_bytes() == whole, "what is cut short is computed again"


def test_two_that_record_the_same_paper_take_turns(tmp_path: Path, whole: bytes) -> None:
    first = small_recording.start(tmp_path, "record", PAPER, "--jobs", "1", how="halt")
    wait_for_halt(first)
    second = small_recording.start(tmp_path, "record", PAPER, "--jobs", "1")
    third = small_recording.start(tmp_path, "record", PAPER, "--jobs", "1")
    first.send_signal(signal.SIGCONT)
    assert [finish(process, tmp_path) for process in (first, second, third)] == [whole] * 3


def test_points_of_other_code_or_settings_are_not_taken(planned: sweep.Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(**changes: Any) -> Path:
        return sweep.Sweep(
            **{"kind": planned.kind, "settings": planned.settings, "seeds": planned.seeds, **changes}
        ).folder

    assert other() == planned.folder
    folders = {planned.folder, other(seeds=4), other(settings={"steps": 550})}
    with monkeypatch.context() as patch:
        patch.setattr(planned.kind, "grid", {"spread": (0.1, 0.3), "ratio": (0.3, 0.9)})
        folders.add(other())
    with monkeypatch.context() as patch:
        patch.setattr(digests, "of_experiment", lambda kind: "0" * 16)
        folders.add(other())
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "1.0")
        folders.add(other())
    with monkeypatch.context() as patch:
        patch.setattr(digests, "of_code", lambda text: "0" * 16)
        folders.add(other())
    assert len(folders) == 7


# -------------------------------------------------------------------------------------------------------- lost workers


def wait_for_halt(process: Any) -> None:
    """Wait until a command has halted itself, with one point kept and others on their way."""
    processes.wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, process)


def test_a_killed_process_loses_nothing(tmp_path: Path, whole: bytes) -> None:
    process = small_recording.start(tmp_path, "record", PAPER, "--jobs", "2", how="halt")
    wait_for_halt(process)
    workers = [one for one in psutil.Process(process.pid).children() if "LokyProcess" in processes.command(one)]
    assert len(workers) == 2 and kept(tmp_path)
    workers[0].send_signal(signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    assert finish(process, tmp_path) == whole


@pytest.mark.parametrize(("how", "killed"), [("halt", 1), ("later", 2)])
def test_killed_dask_workers_lose_nothing(tmp_path: Path, whole: bytes, how: str, killed: int) -> None:
    """One is killed before any point is handed out that depends on the first one, or all when some have been."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            workers = list(client.run(os.getpid).values())
        assert len(workers) == 2
        process = small_recording.start(tmp_path, "record", PAPER, "--cluster", cluster.scheduler_address, how=how)
        wait_for_halt(process)
        assert kept(tmp_path)
        for worker in workers[:killed]:
            os.kill(worker, signal.SIGKILL)
        process.send_signal(signal.SIGCONT)
        assert finish(process, tmp_path) == whole


def test_a_dask_worker_with_several_threads_gives_the_same(planned: sweep.Sweep, whole: bytes) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
        assert sweep.record(PAPER, cluster=cluster.scheduler_address).read_bytes() == whole


class Trial(Experiment):
    """A small experiment whose points may fail or end their worker."""

    arms = {}
    outputs = {"score": Var("seed", "score", "the number of the point")}
    headline = "score"
    grid = {"first": (1, 2), "second": (1, 2, 3)}

    def axes(self) -> dict[str, Axis]:
        return {}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        yield Tick(0)
        self.happens()
        yield Frame({}, {"score": [10.0 * self.first + self.second] * len(seeds)})

    first: int
    second: int

    def happens(self) -> None:
        """Do what goes wrong at a point."""


def number(default: int) -> Any:
    return knob(default, low=1, high=3, step=1, help="a number")


@experiment.dataclass(frozen=True)
class Deadly(Trial):
    """One point always ends its worker."""

    first: int = number(1)
    second: int = number(1)

    def happens(self) -> None:
        if (self.first, self.second) == (2, 2):
            os.kill(os.getpid(), signal.SIGKILL)


@experiment.dataclass(frozen=True)
class Faulty(Trial):
    """One point raises an error."""

    first: int = number(1)
    second: int = number(1)

    def happens(self) -> None:
        if (self.first, self.second) == (2, 2):
            raise ValueError("no luck")


def all_points(cls: type[Experiment]) -> list[sweep.Task]:
    one = sweep.Sweep(cls, {}, 2)
    return [(one, place) for place in one.places]


def test_a_point_that_always_ends_its_worker_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sweep, "CACHE", tmp_path / "cache")
    with pytest.raises(RuntimeError, match=r"^Deadly at first 2, second 2: the workers were lost 3 times"):
        sweep.compute(all_points(Deadly), jobs=2)
    assert len(kept(tmp_path)) >= 4


def test_an_error_names_its_point_and_loses_nothing_finished(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sweep, "CACHE", tmp_path / "cache")
    for jobs in (1, 2):
        with pytest.raises(RuntimeError, match=r"^Faulty at first 2, second 2: ValueError: no luck$"):
            sweep.compute(all_points(Faulty), jobs=jobs)
        assert len(kept(tmp_path)) >= 4
    monkeypatch.setattr(Faulty, "happens", lambda self: None)
    tasks = all_points(Faulty)
    sweep.compute(tasks, jobs=1)
    grid = sweep.gather(tasks[0][0])
    np.testing.assert_array_equal(grid.score.mean("seed"), [[11, 12, 13], [21, 22, 23]])


def test_a_worker_with_other_code_is_found_out(planned: sweep.Sweep, tmp_path: Path) -> None:
    data = planned.point((0, 0)).run(1)
    with pytest.raises(RuntimeError, match="other code or versions"):
        sweep._keep(planned, (0, 0), data.assign_attrs(digest="0" * 16))
    with pytest.raises(RuntimeError, match="other code or versions"):
        sweep._keep(planned, (0, 0), data.assign_attrs(versions='{"torch": "1.0"}'))
    assert not kept(tmp_path)


# ------------------------------------------------------------------------------------------- arms that are trained once


def test_arms_that_do_not_depend_on_a_knob_are_computed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cls = catalogue.experiment("mode_collapse", "ModeCollapse")
    grid, settings = {"strength": (0, 0.02), "rate_ratio": (0.5, 1)}, {"steps": 40}
    small_recording.plan(monkeypatch.setattr, tmp_path, cls, grid, settings)
    (one,) = sweep.planned("mode_collapse")
    arms = {place: list(one.point(place).arms) for place in one.places}
    assert arms[1, 0] == list(cls.arms), "all of them at the default"
    fixed = {"tuned GAN", "uniform square", "blurred annulus"}
    assert set(cls.arms) - set(arms[0, 0]) == {"GAN", "GAN + embedding", "GAN + R1", *fixed}
    assert set(cls.arms) - set(arms[1, 1]) == fixed
    assert arms[0, 1] == ["MEE", "entropy only", "official buffer"]
    sweep.compute([(one, place) for place in one.places], jobs=1)
    grid_of_all = sweep.gather(one)
    for place in one.places:
        settings_there = {"strength": grid["strength"][place[0]], "rate_ratio": grid["rate_ratio"][place[1]]}
        run = thin(cls.make({**settings, **settings_there}).run(small_recording.SEEDS), cls)
        there = grid_of_all.isel(strength=place[0], rate_ratio=place[1])
        for name, values in run.data_vars.items():
            # forty steps amplify the rounding of another batch a little
            np.testing.assert_allclose(there[name], values, atol=5e-3, rtol=5e-3, err_msg=f"{place} {name}")


@experiment.dataclass(frozen=True)
class Apart(Experiment):
    """Each knob is that of one arm alone, so that beside both defaults no arm would be left."""

    left: int = number(1)
    right: int = number(1)

    arms = {"left": Arm("baseline", size="left"), "right": Arm("method", size="right")}
    outputs = {"size": Var("arm seed", "size", "the knob of the arm")}
    headline = "size"
    grid = {"left": (1, 2), "right": (1, 3)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        sizes = [[arm.value("size", self.settings())] * len(seeds) for arm in self.arms.values()]
        yield Frame({}, {"size": sizes})


def test_where_no_arm_would_be_left_all_are_computed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sweep, "CACHE", tmp_path / "cache")
    tasks = all_points(Apart)
    (one, _), *_ = tasks
    assert [list(one.point(place).arms) for place in one.places] == [
        ["left", "right"], ["right"], ["left"], ["left", "right"]
    ]  # fmt: skip
    sweep.compute(tasks, jobs=1)
    grid = sweep.gather(one).mean("seed")
    np.testing.assert_array_equal(grid["size"].transpose("arm", "left", "right"), [[[1, 1], [2, 2]], [[1, 3], [1, 3]]])


# -------------------------------------------------------------------------------------------------------- the command


def test_check_tells_what_is_stale(planned: sweep.Sweep, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    status, table, message = command("record", PAPER, "--check")
    assert status == 1 and "not recorded" in table and f"`reglab record {PAPER}`" in message
    assert command("record", PAPER, "--jobs", "1")[0] == 0
    status, table, message = command("record", PAPER, "--check")
    assert status == 0 and "current" in table and not message
    with monkeypatch.context() as patch:
        patch.setattr(digests, "of_code", lambda text: "0" * 16)  # of the core: no grid is stale by that
        assert command("record", PAPER, "--check")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(digests, "of_experiment", lambda kind: "0" * 16)
        status, table, _ = command("record", PAPER, "--check")
        assert status == 1 and "the code of the paper has changed" in table
    monkeypatch.setattr(planned.kind, "grid", {"spread": (0.1, 0.3), "ratio": (0.3, 0.9)})
    status, table, _ = command("record", PAPER, "--check")
    assert status == 1 and "its grid has changed" in table
    store.path(PAPER).write_bytes(b"nothing")
    status, table, _ = command("record", PAPER, "--check")
    assert status == 1 and "damaged, cut short" in table


def test_wrong_words_are_one_line(planned: sweep.Sweep, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, words in (
        (("nosuch",), "no paper named 'nosuch'"),
        ((PAPER, "--check", "--spot", "a"), "exclude each other"),
        ((PAPER, "--check", "--jobs", "2"), "exclude each other"),
        ((PAPER, "--jobs", "2", "--cluster", "tcp://127.0.0.1:1"), "--jobs is for processes on this computer"),
        ((PAPER, "--jobs", "0"), "greater than or equal to 1"),
    ):
        status, _, message = command("record", *arguments)
        assert status == 2 and words in message and message.strip().count("\n") == 0, message
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "distributed", None)
        status, _, message = command("record", PAPER, "--cluster", "tcp://127.0.0.1:1")
        assert status == 1 and "pip install 'reglab[cluster]'" in message and message.count("\n") == 1
    monkeypatch.setattr(sweep, "planned", lambda name: [])
    status, _, message = command("record", PAPER)
    assert status == 1 and "declares no grid" in message


def test_a_cluster_that_does_not_answer_is_said(planned: sweep.Sweep, command: Command) -> None:
    pytest.importorskip("distributed")
    status, _, message = command("record", PAPER, "--cluster", "tcp://127.0.0.1:1")
    assert status == 1 and "no Dask scheduler answers at tcp://127.0.0.1:1" in message


def test_positions_along_a_knob_may_be_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cls = catalogue.experiment("mode_collapse", "ModeCollapse")
    grid, settings = {"target": ("ring", "one"), "strength": (0, 0.02)}, {"steps": 20, "modes": 1}
    monkeypatch.setattr(cls, "unaffected", {})
    small_recording.plan(monkeypatch.setattr, tmp_path, cls, grid, settings)
    sweep.record("mode_collapse", jobs=1)
    data = store.read(cls)
    assert data is not None and data.target.values.tolist() == ["ring", "one"]
    found = store.at(cls.make({**settings, "target": "one"}))
    assert found is not None
    xr.testing.assert_equal(found.covered, data.covered.sel(target="one", strength=0.02, drop=True))
