"""Recorded grids: the results of an experiment at every pair of two knobs, in a file small enough for a web page.

A recording holds what the experiment's pictures and its headline show, no more (`thin`), as whole steps (`codec`). A
page gets the same steps.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reglab import catalogue, digests, files, results
from reglab.experiment import Experiment
from reglab.pictures.panel import uses
from reglab.recordings import codec
from reglab.recordings.thin import whole

if TYPE_CHECKING:
    import xarray as xr

FOLDER = catalogue.ROOT / "data" / "recorded"
LIMIT = 400_000
"""No recording of a paper is larger, in bytes."""

FORMAT = 1
"""Changes when files of before can no longer be read."""

_DESCRIBED = ("units", "long_name", "description", "low", "high")


def path(name: str) -> Path:
    """Return where the recording of a paper is kept: `data/recorded/<part>/<slug>.nc`, one group an experiment."""
    return FOLDER / f"{catalogue.find(name)}.nc"


def digest(kind: type[Experiment]) -> str:
    """Return the digest of what a recording depends on: what the experiment computes, and where. 16 hex digits.

    Words and pictures do not count, nor does the core of the lab.
    """
    depends = [FORMAT, digests.of_experiment(kind), _plain(kind.grid), _plain(kind.unaffected)]
    return hashlib.sha256(json.dumps(depends).encode()).hexdigest()[:16]


def _plain(values: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: list(several) for name, several in values.items()}


# ---------------------------------------------------------------------------------------------------------- reading


def read(kind: type[Experiment]) -> xr.Dataset | None:
    """Return the recorded grid of an experiment, or None when nothing was recorded.

    Every variable has the two knobs of `grid` as its first axes, then those of a run (`arm`, `seed`, ...); what was
    not recorded is NaN. The attributes tell `paper`, `experiment`, `knobs` (the settings of all knobs, as JSON, with
    the defaults of the grid's knobs), `grid`, `digest`, `code`, `versions`, `tolerance` and `threads`; those of a
    variable also tell its `accuracy` (the most that rounding changed; `accuracy_log10` where logarithms were rounded).
    Labels, units and descriptions are those of today's code.
    A recording of other code than today's is returned all the same: ask `stale`. Raises `ValueError` that names the
    path and says how to record it again when the file is cut short, damaged or no recording of this paper.
    """
    found = _kept(kind)
    return None if found is None else found.copy(deep=True)


def steps(kind: type[Experiment]) -> xr.Dataset | None:
    """Return the recorded grid of an experiment as the whole steps that the file holds; `codec.scale_of` tells more.

    The axes are those of `read`. None when nothing was recorded. Raises `ValueError` as `read` does.
    """
    found = _steps(*_state(kind)) if path(kind.paper()).is_file() else None
    return None if found is None else found.copy(deep=True)


def _kept(kind: type[Experiment]) -> xr.Dataset | None:
    """Return what `read` does, but not as a copy: it must not be changed."""
    return _read(*_state(kind)) if path(kind.paper()).is_file() else None


def _state(kind: type[Experiment]) -> tuple[Path, str, str, tuple[int, ...]]:
    """Return what the contents of an experiment's recording are remembered by."""
    source = path(kind.paper())
    status = source.stat()
    return source, kind.paper(), kind.__name__, (status.st_mtime_ns, status.st_size, status.st_ino)


@functools.lru_cache(maxsize=16)
def _read(source: Path, paper: str, name: str, stamp: tuple[int, ...]) -> xr.Dataset | None:
    """Return the numbers of one group; `stamp` tells one state of the file from another."""
    found = _steps(source, paper, name, stamp)
    return None if found is None else _described(codec.decode(found), catalogue.experiment(paper, name))


@functools.lru_cache(maxsize=16)
def _steps(source: Path, paper: str, name: str, stamp: tuple[int, ...]) -> xr.Dataset | None:
    """Read one group as whole steps."""
    import h5py
    import xarray as xr

    again = f"record it again with `reglab record {paper.split('/')[1]}`"
    content = io.BytesIO(files.read(source))
    try:
        with h5py.File(content) as file:
            kept, made_for = list(file), (file.attrs.get("paper"), file.attrs.get("recording"))
        if made_for == (paper, str(FORMAT)):
            if name not in kept:
                return None
            coded = xr.load_dataset(content, engine="h5netcdf", group=name, mask_and_scale=False)
            if coded.attrs.pop("checksum", "") == _checksum(coded):
                return codec.spread(coded)
            raise ValueError("the checksum differs")
    except Exception as error:  # whatever the libraries say about bytes that make no sense
        raise ValueError(f"{source}: a recording that is cut short or damaged; {again}") from error
    raise ValueError(f"{source}: not a recording of {paper} that this version of the lab can read; {again}")


def _described(data: xr.Dataset, kind: type[Experiment]) -> xr.Dataset:
    """Let labels, units and descriptions be those that the experiment declares today."""
    declared = {name: var.attributes for name, var in kind.outputs.items()}
    declared |= {name: axis.attributes(name) for name, axis in kind().axes().items()}
    for name, today in declared.items():
        if name in data.variables:
            kept = {key: value for key, value in data[name].attrs.items() if key not in _DESCRIBED or key in today}
            data[name].attrs = kept | today
    return data


def has(setting: Experiment) -> bool:
    """Tell whether results at this setting were recorded with today's code. Raises `ValueError` as `read` does."""
    return _place(setting) is not None


def at(setting: Experiment) -> xr.Dataset | None:
    """Return the recorded results at one setting, in the form that `run` gives; None where `has` says no.

    Only variables and positions that were kept are there. Raises `ValueError` as `read` does.
    """
    place = _place(setting)
    grid = None if place is None else read(type(setting))
    if grid is None or place is None:
        return None
    data = grid.isel(place).drop_vars(list(place))
    for values in data.data_vars.values():
        values.attrs = {key: values.attrs[key] for key in _DESCRIBED if key in values.attrs}
    data.attrs = {
        **{key: grid.attrs[key] for key in ("paper", "experiment")},
        "knobs": json.dumps(setting.settings()),
        **{key: grid.attrs[key] for key in ("reglab", "versions")},
        "digest": grid.attrs["code"],
        "threads": grid.attrs["threads"],
    }
    return data


def _place(setting: Experiment) -> dict[str, int] | None:
    """Return the position of a setting along the knobs of its recorded grid; None beside the grid or without one."""
    kind = type(setting)
    grid = _kept(kind) if kind.grid else None
    if grid is None or _outdated(kind, grid):
        return None
    base, place = results.settings_of(grid), {}
    for name, value in setting.settings().items():
        if name in kind.grid:
            near = [i for i, one in enumerate(kind.grid[name]) if _same(one, value)]
            if not near:
                return None
            place[name] = near[0]
        elif not _same(base[name], value):
            return None
    return place


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str | bool) or isinstance(other, str | bool):
        return bool(one == other)
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def stale(kind: type[Experiment]) -> str:
    """Say why an experiment must be recorded again; "" where it is current or no grid is declared."""
    if not kind.grid:
        return ""
    try:
        grid = read(kind)
    except ValueError as error:
        return str(error)
    if grid is None:
        return "not recorded"
    return _outdated(kind, grid)


def _outdated(kind: type[Experiment], grid: xr.Dataset) -> str:
    """Say what has changed since a grid was recorded; "" for nothing that matters."""
    if grid.attrs["code"] != digests.of_experiment(kind):
        return "the code of the paper has changed"
    if grid.attrs["digest"] != digest(kind):
        return "its grid has changed"
    held, needed = _held(*_state(kind)), uses(kind)
    for name, use in needed.items():
        partly = name in kind.may_be_nan
        if name not in held or not (partly or (held[name].arms >= use.arms and held[name].whole >= whole(use))):
            return "a picture shows what was not recorded"
    return ""


class Held(NamedTuple):
    """What a recording has of a variable: the arms with numbers, and whether curves go beyond one position."""

    arms: set[str]
    whole: bool


@functools.lru_cache(maxsize=16)
def _held(source: Path, paper: str, name: str, stamp: tuple[int, ...]) -> dict[str, Held]:
    """Return what was recorded of each variable."""
    grid, kind, found = _read(source, paper, name, stamp), catalogue.experiment(paper, name), {}
    assert grid is not None
    for variable, values in grid.data_vars.items():
        known = values.notnull()
        along = [dim for dim in values.dims if dim not in ("arm", "seed", *kind.grid) and values.sizes[dim] > 1]
        several = all(int(known.any([one for one in values.dims if one != dim]).sum()) != 1 for dim in along)
        arms = known.any([dim for dim in values.dims if dim != "arm"]) if "arm" in values.dims else None
        found[str(variable)] = Held(set(kind.arms if arms is None else grid.arm.values[arms.values].tolist()), several)
    return found


# ---------------------------------------------------------------------------------------------------------- writing


def write(name: str, grids: Mapping[type[Experiment], xr.Dataset]) -> Path:
    """Write the grids of a paper's experiments, which are thinned, to its recording, at once; returns the path.

    Numbers become whole steps (int16 with `scale_factor` and `add_offset`, as NetCDF programs understand). A step is
    1/2000 of the span of the variable over the grid, in which its outer 0.5 % on either side do not count, so that
    rounding changes a number by 1/4000 of the span at most (1/800 for clouds of points, which are cut off a quarter
    beyond the `limits` of their picture). Where a picture has a logarithmic axis, the logarithms are rounded in this
    way. Whole numbers stay exact, NaN stays NaN. What is the same all along a knob is stored once. The same grids give
    the same bytes.
    """
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    target, content = path(name), io.BytesIO()
    # the file format of 2016 needs half the space of the oldest one, which is the default
    with h5netcdf.File(content, "w", libver="v110") as file:
        file.attrs["paper"], file.attrs["recording"] = catalogue.find(name), str(FORMAT)
        for kind, grid in grids.items():
            coded = codec.encode(grid, kind)
            coded.attrs["checksum"] = _checksum(coded)
            encoding: dict[Any, dict[str, Any]] = {one: {"_FillValue": None} for one in coded.coords}
            for one, values in coded.data_vars.items():
                encoding[one] = {"zlib": True, "complevel": 9, "shuffle": True, "chunksizes": values.shape}
            coded.dump_to_store(H5NetCDFStore(file.create_group(kind.__name__)), encoding=encoding)
    files.write(target, content.getvalue())
    return target


def _checksum(coded: xr.Dataset) -> str:
    """Return a digest of all that a group holds, which tells a damaged one from a whole one."""
    found = hashlib.sha256()
    attributes = {key: value for key, value in coded.attrs.items() if key != "checksum"}
    for name, values in [("", None), *sorted(coded.variables.items(), key=lambda item: str(item[0]))]:
        described = attributes if values is None else values.attrs
        found.update(json.dumps([str(name), sorted(codec.plain(described).items())]).encode())
        if values is not None:
            content = values.values
            found.update(repr((values.dims, content.shape)).encode())
            text = content.dtype == object or content.dtype.kind in "US"
            found.update(json.dumps(content.tolist()).encode() if text else content.tobytes())
    return found.hexdigest()[:16]
