"""Compute the grids of experiments, here or on a Dask cluster, so that nothing finished is ever lost.

Every finished grid point is kept at once in `.cache/record/`. A sweep that was killed goes on from there, and its
recording has the same bytes as that of an uninterrupted one, whatever the number of processes: one point is always
computed by one thread.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import platform
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from reglab import catalogue, digests, processes, results
from reglab.experiment import Experiment
from reglab.recordings import store
from reglab.recordings.thin import thin

if TYPE_CHECKING:
    import xarray as xr

CACHE = catalogue.ROOT / ".cache" / "record"
"""Finished grid points lie here until their recording is written; git ignores the folder."""

ROUNDS = 3
"""After so many pools of workers that broke before they finished anything new, a sweep gives up."""


@dataclass(frozen=True)
class Sweep:
    """What is recorded of one experiment: its grid at some settings (everything else default), with so many seeds."""

    kind: type[Experiment]
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 8

    @property
    def home(self) -> tuple[int, ...]:
        """The grid point of the default settings, with all arms, like which all others are thinned."""
        base = self.kind.make(self.settings)
        return tuple(list(values).index(getattr(base, knob)) for knob, values in self.kind.grid.items())

    @property
    def places(self) -> list[tuple[int, ...]]:
        """The grid points, each as a position along every knob of the grid."""
        return list(itertools.product(*(range(len(values)) for values in self.kind.grid.values())))

    def point(self, place: Sequence[int]) -> Experiment:
        """Return the setting of a grid point, with the arms that are computed there.

        An arm that does not depend on a knob is computed at the knob's default only; all are where none would be left.
        """
        base = self.kind.make(self.settings)
        chosen = {knob: self.kind.grid[knob][i] for knob, i in zip(self.kind.grid, place, strict=True)}
        setting = self.kind.make({**self.settings, **chosen})
        moved = [knob for knob in chosen if getattr(setting, knob) != getattr(base, knob)]
        elsewhere = {arm for knob in moved for arm in self.kind.unaffected.get(knob, ())}
        here = [arm for arm in self.kind.arms if arm not in elsewhere]
        return setting.only(here) if here else setting

    def label(self, place: Sequence[int]) -> str:
        """Return a grid point in words."""
        grid = self.kind.grid
        return ", ".join(f"{knob.replace('_', ' ')} {grid[knob][i]}" for knob, i in zip(grid, place, strict=True))

    @functools.cached_property
    def folder(self) -> Path:
        """Where finished grid points are kept: another folder for other code (the core's too), settings or versions."""
        depends = [store.digest(self.kind), self.kind.make(self.settings).settings(), self.seeds, _versions()]
        depends += [digests.of_code(file.read_text(encoding="utf-8")) for file in catalogue.core()]
        key = hashlib.sha256(json.dumps(depends).encode()).hexdigest()[:16]
        return CACHE / self.kind.paper() / self.kind.__name__ / key

    def file(self, place: Sequence[int]) -> Path:
        """Return where a finished grid point is kept."""
        return self.folder / f"{'-'.join(map(str, place))}.nc"


def planned(name: str) -> list[Sweep]:
    """Return what is recorded of a paper: every experiment that declares a grid."""
    return [Sweep(kind) for kind in catalogue.experiments(name) if kind.grid]


def _versions() -> dict[str, str]:
    import torch

    return {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}


# -------------------------------------------------------------------------------------------------------- recording


def record(
    name: str, jobs: int | None = None, cluster: str = "", progress: Callable[[int, int], None] | None = None
) -> Path:
    """Compute the recording of a paper and write it; returns the path.

    `jobs` processes compute side by side (one for each core if not given), or the workers of the Dask cluster whose
    scheduler listens at the address `cluster`. `progress` is called with how many grid points are done, of how many.
    A lost worker's points are computed again; while a cluster has no worker left, Dask waits for new ones. While
    another process records the same paper, this one waits, and then has nothing left to do. Raises `ValueError` for a
    paper without a grid, `OSError` for a cluster that does not answer, and `RuntimeError` that names the grid point
    when one cannot be computed.
    """
    sweeps = planned(name)
    if not sweeps:
        raise ValueError(f"{catalogue.find(name)} declares no grid, so there is nothing to record")
    with _alone(name) as first:
        if first or any(store.stale(sweep.kind) for sweep in sweeps):
            compute([(sweep, place) for sweep in sweeps for place in sweep.places], jobs, cluster, progress)
            store.write(name, {sweep.kind: gather(sweep) for sweep in sweeps})
            shutil.rmtree(CACHE / catalogue.find(name), ignore_errors=True)
    return store.path(name)


@contextmanager
def _alone(name: str) -> Iterator[bool]:
    """Wait until no other process records a paper; gives whether there was none."""
    lock, first = FileLock(CACHE / f"{catalogue.find(name)}.lock"), True
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        first = False
        lock.acquire()
    try:
        yield first
    finally:
        lock.release()


Task = tuple[Sweep, tuple[int, ...]]


def compute(
    tasks: Sequence[Task],
    jobs: int | None = None,
    cluster: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Compute and keep those grid points that are not kept yet; the arguments are those of `record`.

    The default settings of each experiment come first, among the tasks or not: all others are thinned like them.
    """
    tasks = [*(task for task in _homes(tasks) if task not in tasks), *tasks]
    left, broken = [task for task in tasks if _kept(*task) is None], 0
    while left:
        ready = [task for task in _homes(left) if task in left] or left
        if progress is not None:
            progress(len(tasks) - len(left), len(tasks))
        finished = 0
        try:  # after a pool broke with nothing new, one point at a time, to find out which one breaks it
            for at, data in _results(ready[:1] if broken else ready, jobs, cluster):
                _keep(*ready[at], data)
                finished += 1
                if progress is not None:
                    progress(len(tasks) - len(left) + finished, len(tasks))
        except WorkersLostError as error:
            broken = 0 if finished else broken + 1
            if broken == ROUNDS:
                sweep, place = ready[0]
                raise RuntimeError(
                    f"{sweep.kind.__name__} at {sweep.label(place)}: the workers were lost {ROUNDS} times (is there "
                    "enough memory?); what was finished is kept"
                ) from error
        left = [task for task in left if _kept(*task) is None]


def _homes(tasks: Sequence[Task]) -> list[Task]:
    """Return the default settings of all experiments among some tasks, one after the other."""
    found: list[Task] = []
    for sweep, _ in tasks:
        if (sweep, sweep.home) not in found:
            found.append((sweep, sweep.home))
    return found


def _like(sweep: Sweep) -> xr.Dataset | None:
    """Return the positions that all points of a sweep have, those of the default settings; None before these."""
    home = _kept(sweep, sweep.home)
    return None if home is None else home.coords.to_dataset()


class WorkersLostError(Exception):
    """Workers ended before they gave their results."""


def _results(tasks: Sequence[Task], jobs: int | None, cluster: str) -> Iterator[tuple[int, xr.Dataset]]:
    """Compute grid points side by side; yield the number of each and its thinned results as soon as it is done."""
    from concurrent.futures import BrokenExecutor

    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_limits

    lost: tuple[type[Exception], ...] = (BrokenExecutor,)
    with _pool(jobs, cluster) as count, threadpool_limits(), warnings.catch_warnings():
        # that points under way are lost when a sweep is stopped is no news
        warnings.filterwarnings("ignore", category=UserWarning, module="joblib")
        if cluster:
            from distributed import KilledWorker

            lost = (*lost, KilledWorker)
        # batches of one and few points ahead, so that each result is kept as soon as it is there
        pool = Parallel(count, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
        # positions are in the call: joblib gives large arguments to some workers before it, with whom they can be lost
        calls = (
            delayed(functools.partial(_one, like=_like(sweep)))(i, sweep.point(place), sweep.seeds, sweep.label(place))
            for i, (sweep, place) in enumerate(tasks)
        )
        try:
            yield from pool(calls)
        except lost as error:
            raise WorkersLostError from error


@contextmanager
def _pool(jobs: int | None, cluster: str) -> Iterator[int]:
    """Make joblib compute in local processes or on a Dask cluster; gives the number of jobs to ask for."""
    from joblib import cpu_count, parallel_config

    if not cluster:
        end = {"initializer": processes.end_with, "initargs": (os.getpid(),)}
        with parallel_config(backend="loky", inner_max_num_threads=1, **end):
            yield jobs or cpu_count()
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise RuntimeError("a cluster needs Dask: pip install 'reglab[cluster]'") from error
    try:
        client = Client(cluster, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OSError(f"no Dask scheduler answers at {cluster}: {error}") from error
    with client, parallel_config(backend="dask", client=client):
        yield -1


def _one(
    number: int, setting: Experiment, seeds: int, label: str, like: xr.Dataset | None = None
) -> tuple[int, xr.Dataset]:
    """Compute one grid point in a worker, thinned `like` another."""
    return number, thin(_run(setting, seeds, label), type(setting), like)


def _run(setting: Experiment, seeds: int, label: str) -> xr.Dataset:
    """Compute one grid point with one thread."""
    import scipy.linalg  # noqa: F401 - so that its threads are there to be limited
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)  # for good: another thread of this worker may be computing another point
    try:
        return setting.run(seeds)
    except Exception as error:
        raise RuntimeError(f"{type(setting).__name__} at {label}: {type(error).__name__}: {error}") from error


def run(sweep: Sweep, place: Sequence[int]) -> xr.Dataset:
    """Return the whole results of one grid point, computed in this process as a worker does."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits():  # afterwards this process has the threads again that `_run` took
        return _run(sweep.point(place), sweep.seeds, sweep.label(place))


def _keep(sweep: Sweep, place: tuple[int, ...], data: xr.Dataset) -> None:
    """Keep a finished grid point, at once; raises `RuntimeError` when its worker has other code or versions."""
    own = [digests.of_experiment(sweep.kind), _versions()]
    if [data.attrs["digest"], json.loads(data.attrs["versions"])] != own:
        raise RuntimeError(f"a worker has other code or versions than this computer: {data.attrs['versions']}")
    file = sweep.file(place)
    file.parent.mkdir(parents=True, exist_ok=True)
    results.save(data, file)


def _kept(sweep: Sweep, place: tuple[int, ...]) -> xr.Dataset | None:
    """Return a grid point that was kept, or None; what cannot be read counts as not there."""
    file = sweep.file(place)
    if not file.is_file():
        return None
    try:
        return results.load(file, sweep.kind)
    except ValueError:
        return None


def gather(sweep: Sweep) -> xr.Dataset:
    """Put all kept grid points of a sweep together, with the arms that were computed once at all their places.

    Raises `ValueError` when their axes differ.
    """
    import xarray as xr

    kind, knobs = sweep.kind, list(sweep.kind.grid)
    base = kind.make(sweep.settings).settings()
    home, found = sweep.home, {place: _kept(sweep, place) for place in sweep.places}
    whole = found[home]
    assert whole is not None
    sizes = {knob: len(values) for knob, values in kind.grid.items()}
    variables = {
        name: ((*knobs, *values.dims), np.full((*sizes.values(), *values.shape), np.nan), values.attrs)
        for name, values in whole.data_vars.items()
    }
    places = {knob: (knob, _positions(kind.grid[knob]), _described(kind, knob)) for knob in knobs}
    attributes = {
        **whole.attrs,
        "knobs": json.dumps(base),
        "grid": json.dumps({knob: list(values) for knob, values in kind.grid.items()}),
        "code": whole.attrs["digest"],
        "digest": store.digest(kind),
        "tolerance": kind.spot_tolerance,
    }
    grid = xr.Dataset(variables, {**places, **whole.coords}, attributes)
    for place in sweep.places:
        for arm in list(kind.arms) or [""]:
            source = tuple(
                home[i] if arm in kind.unaffected.get(knob, ()) else place[i] for i, knob in enumerate(knobs)
            )
            part = found[source]
            assert part is not None
            for name, values in part.data_vars.items():
                if "arm" in values.dims:
                    at = {**dict(zip(knobs, place, strict=True)), "arm": list(kind.arms).index(arm)}
                    grid[name][at] = values.sel(arm=arm).values
                elif source == place:
                    grid[name][dict(zip(knobs, place, strict=True))] = values.values
    return grid


def _positions(values: Sequence[Any]) -> np.ndarray:
    array = np.array(values)
    return array.astype(object) if array.dtype.kind == "U" else array


def _described(kind: type[Experiment], knob: str) -> dict[str, str]:
    declared = kind.knobs()[knob]
    return {"long_name": f"{declared.words(knob)} {declared.symbol}".strip(), "units": declared.unit or "1"}
