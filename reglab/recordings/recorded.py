"""Recorded grids: the results of an experiment at every pair of two knobs, in a file small enough for a web page.

A recording holds what the experiment's pictures and its headline show, no more: `thin` leaves the rest away, and
numbers are rounded to about 1/2000 of what they span over the grid (see `write`).
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reglab import catalogue, digests, files, results
from reglab.experiment import Experiment
from reglab.pictures.panel import uses

if TYPE_CHECKING:
    import xarray as xr

FOLDER = catalogue.ROOT / "data" / "recorded"
LIMIT = 400_000
"""No recording of a paper is larger, in bytes."""

POSITIONS, FRAMES, POINTS = 24, 4, 200
"""At most so many positions of a curve, frames of a film and points of a cloud are kept."""

STEPS, CLOUD_STEPS = 2000, 400
"""In how many steps the usual span of a variable is divided, and that of clouds of points."""

FORMAT = 1
"""Changes when files of before can no longer be read."""

_FILL, _LARGEST = -(2**15), 2**15 - 1
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
    path and says how to make it anew when the file is cut short, damaged or no recording of this paper.
    """
    found = _kept(kind)
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
    """Read one group; `stamp` tells one state of the file from another."""
    import h5py
    import xarray as xr

    anew = f"make it anew with `reglab record {paper.split('/')[1]}`"
    try:
        with h5py.File(source) as file:
            kept, made_for = list(file), (file.attrs.get("paper"), file.attrs.get("recording"))
        if made_for == (paper, str(FORMAT)):
            if name not in kept:
                return None
            coded = xr.load_dataset(source, engine="h5netcdf", group=name, mask_and_scale=False)
            if coded.attrs.pop("checksum", "") == _checksum(coded):
                return _described(_decode(coded), catalogue.experiment(paper, name))
            raise ValueError("the checksum differs")
    except Exception as error:  # whatever the libraries say about bytes that make no sense
        raise ValueError(f"{source}: a recording that is cut short or damaged; {anew}") from error
    raise ValueError(f"{source}: not a recording of {paper} that this version of the lab can read; {anew}")


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
    """Say why the recording of an experiment must be made anew; "" where it is current or no grid is declared."""
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
        if name not in held or not (partly or (held[name].arms >= use.arms and held[name].whole >= use.whole)):
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
        whole = all(int(known.any([one for one in values.dims if one != dim]).sum()) != 1 for dim in along)
        arms = known.any([dim for dim in values.dims if dim != "arm"]) if "arm" in values.dims else None
        found[str(variable)] = Held(set(kind.arms if arms is None else grid.arm.values[arms.values].tolist()), whole)
    return found


# --------------------------------------------------------------------------------------------------------- thinning


def thin(data: xr.Dataset, kind: type[Experiment]) -> xr.Dataset:
    """Leave away from the results of a run what no picture shows.

    Variables that neither views nor headline use go; arms that no picture of a variable shows become NaN. Curves keep
    all seeds at up to 24 positions, evenly chosen (in the logarithm on a logarithmic axis), first and last among
    them; a variable of which only the end is shown keeps its last position. Films keep 4 frames of 200 points.
    """
    wanted = {name: use for name, use in uses(kind).items() if name in data}
    data = data[list(wanted)].copy(deep=True)
    clouds = {name for name, use in wanted.items() if use.cloud}
    for dim in [str(dim) for dim in data.dims if dim not in ("arm", "seed")]:
        if data[dim].dtype == object:
            continue
        having = {name for name in wanted if dim in data[name].dims}
        frames = {name for name in having & clouds if dim not in wanted[name].items}
        if having <= clouds - frames:  # the points of a cloud
            size = data.sizes[dim]
            data = data.isel({dim: np.linspace(0, size - 1, min(POINTS, size)).round().astype(int)})
            continue
        data = data.isel({dim: evenly(data[dim], POSITIONS if having - frames else FRAMES)})
        kept = {name: evenly(data[dim], FRAMES) for name in frames}
        kept |= {name: np.array([data.sizes[dim] - 1]) for name in having - frames if not wanted[name].whole}
        for name, positions in kept.items():
            chosen = data[name].where(data[dim].isin(data[dim].values[positions]))
            if bool(chosen.notnull().any() | data[name].isnull().all()):
                data[name].values[:] = chosen.transpose(*data[name].dims).values
    for name, use in wanted.items():
        if "arm" in data[name].dims:
            data[name].values[:] = data[name].where(data.arm.isin(list(use.arms))).values
    return data


def evenly(axis: xr.DataArray, most: int) -> np.ndarray:
    """Return at most so many positions along an axis, first and last among them, about evenly spread over its values.

    On a logarithmic axis they are evenly spread in the logarithm, beside a first value that has none.
    """
    values = axis.values.astype(float)
    if len(values) <= most:
        return np.arange(len(values))
    first = int(np.argmax(values > 0)) if axis.attrs.get("log") else 0
    scale = np.log(values[first:]) if axis.attrs.get("log") else values
    targets = np.linspace(scale[0], scale[-1], most - (first > 0))
    nearest = first + np.abs(scale[:, None] - targets).argmin(0)
    return np.unique([0, *nearest])


# ---------------------------------------------------------------------------------------------------------- writing


def write(name: str, grids: Mapping[type[Experiment], xr.Dataset]) -> Path:
    """Write the grids of a paper's experiments to its recording, at once; returns the path.

    Numbers become whole steps (int16 with `scale_factor` and `add_offset`, as NetCDF programs understand). A step is
    1/2000 of the span of the variable over the grid, in which its outer 0.5 % on either side do not count, so that
    rounding changes a number by 1/4000 of the span at most (1/800 for clouds of points, which are cut off a quarter
    beyond the `limits` of their picture). Where a picture has a logarithmic axis, the logarithms are rounded in this
    way. Whole numbers stay exact, NaN stays NaN. What is the same all along a knob is stored once. The same grids give
    the same bytes.
    """
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    target = path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    # the file format of 2016 needs half the space of the oldest one, which is the default
    with files.at_once(target) as temporary, h5netcdf.File(temporary, "w", libver="v110") as file:
        file.attrs["paper"], file.attrs["recording"] = catalogue.find(name), str(FORMAT)
        for kind, grid in grids.items():
            coded = _encode(grid, kind)
            coded.attrs["checksum"] = _checksum(coded)
            encoding: dict[Any, dict[str, Any]] = {one: {"_FillValue": None} for one in coded.coords}
            for one, steps in coded.data_vars.items():
                encoding[one] = {"zlib": True, "complevel": 9, "shuffle": True, "chunksizes": steps.shape}
            coded.dump_to_store(H5NetCDFStore(file.create_group(kind.__name__)), encoding=encoding)
    return target


class Code(NamedTuple):
    """How numbers become whole steps: number = offset + step · steps, or its logarithm to base 10 is that."""

    step: float
    offset: float
    log: bool = False
    integers: bool = False


def code(values: np.ndarray, log: bool, steps: int) -> Code:
    """Return how the numbers of a variable become whole steps, `steps` of them over the usual span of the numbers.

    The outer 0.5 % of the numbers on either side do not count for the span; with `log` it is that of the logarithms,
    unless there are negative numbers; zeros then lie one step below the smallest number. Otherwise zero is a whole
    step, so that it stays zero.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Code(1.0, 0.0)
    log = log and bool((finite >= 0).all() and (finite > 0).any())
    low, high = float(finite.min()), float(finite.max())
    if not log and high - low < _LARGEST and not (finite % 1).any():
        return Code(1.0, low, integers=True)
    if log:
        finite = np.log10(finite[finite > 0])
        low, high = float(finite.min()), float(finite.max())
    usual = np.quantile(finite, [0.005, 0.995])
    span = float(usual[1] - usual[0]) or high - low or 1.0
    step = max(span / steps, (high - low) / (_LARGEST - 2), np.finfo(float).tiny)
    return Code(step, low if log else math.floor(low / step) * step, log)


def _encode(grid: xr.Dataset, kind: type[Experiment]) -> xr.Dataset:
    """Turn numbers into whole steps; how to turn them back stands in the attributes of each variable."""
    wanted, coded = uses(kind), grid.copy(deep=True)
    for name, values in grid.data_vars.items():
        use, numbers = wanted[str(name)], values.values
        if use.limits is not None:
            middle, half = sum(use.limits) / 2, 1.25 * (use.limits[1] - use.limits[0]) / 2
            numbers = numbers.clip(middle - half, middle + half)
        step, offset, log, integers = code(numbers, use.log, CLOUD_STEPS if use.cloud else STEPS)
        same = _same_along(values, tuple(kind.grid))
        numbers = _once(values.copy(data=numbers), same).values
        if log:
            with np.errstate(divide="ignore"):
                numbers = np.log10(numbers).clip(offset - step)
        filled = np.where(np.isfinite(numbers), np.round((numbers - offset) / step), _FILL)
        attributes = {**values.attrs, "scale_factor": step, "add_offset": offset, "_FillValue": np.int16(_FILL)}
        attributes["accuracy_log10" if log else "accuracy"] = 0.0 if integers else step / 2
        if log:
            attributes["stored"] = "log10"
        if same:
            attributes["same_along"] = json.dumps(same, ensure_ascii=False)
        coded[name] = (values.dims, filled.astype(np.int16), attributes)
    return coded


def _decode(coded: xr.Dataset) -> xr.Dataset:
    """Turn whole steps into numbers again, and put what is the same along a knob to all its values."""
    data = coded.copy()
    for name, places in coded.coords.items():
        text = places.dtype.kind in "US"  # a run has objects there
        data[name] = (places.dims, places.values.astype(object) if text else places.values, _simple(places.attrs))
    for name, steps in coded.data_vars.items():
        attributes = _simple(steps.attrs)
        step, offset, fill = (attributes.pop(key) for key in ("scale_factor", "add_offset", "_FillValue"))
        log, same = attributes.pop("stored", "") == "log10", json.loads(attributes.pop("same_along", "{}"))
        codes = steps.values.astype(float)
        numbers = offset + step * codes
        if log:
            numbers = np.where(codes < 0, 0.0, 10.0**numbers)
        values = steps.copy(data=np.where(steps.values == fill, np.nan, numbers))
        for arm, knobs in same.items():
            for knob in knobs:
                part = values.sel(arm=arm) if arm else values
                whole = part.isel({knob: [0] * part.sizes[knob]}).transpose(*part.dims).values
                values.loc[{"arm": arm} if arm else {}] = whole
        data[name] = (steps.dims, values.values, attributes)
    data.attrs = _simple(coded.attrs)
    return data


def _simple(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes with Python's own numbers."""
    return {str(key): value.item() if isinstance(value, np.generic) else value for key, value in attributes.items()}


def _same_along(values: xr.DataArray, knobs: tuple[str, ...]) -> dict[str, list[str]]:
    """Return along which knobs the values of each arm ("" for a variable without arms) are all the same."""
    found = {}
    for arm in values.arm.values.tolist() if "arm" in values.dims else [""]:
        part = values.sel(arm=arm) if arm else values
        same = []
        for knob in knobs:
            first = part.isel({knob: [0] * part.sizes[knob]}).transpose(*part.dims)
            if np.array_equal(first.values, part.values, equal_nan=True) and part.sizes[knob] > 1:
                same.append(knob)
        if same and part.notnull().any():
            found[arm] = same
    return found


def _once(values: xr.DataArray, same: Mapping[str, list[str]]) -> xr.DataArray:
    """Keep what is the same along a knob at its first value only; the rest becomes NaN and packs to nothing."""
    values = values.copy(deep=True)
    for arm, knobs in same.items():
        for knob in knobs:
            chosen = {"arm": arm} if arm else {}
            later = {knob: values[knob].values[1:]}
            values.loc[{**chosen, **later}] = np.nan
    return values


def _checksum(coded: xr.Dataset) -> str:
    """Return a digest of all that a group holds, which tells a damaged one from a whole one."""
    found = hashlib.sha256()
    attributes = {key: value for key, value in coded.attrs.items() if key != "checksum"}
    for name, values in [("", None), *sorted(coded.variables.items(), key=lambda item: str(item[0]))]:
        described = attributes if values is None else values.attrs
        found.update(json.dumps([str(name), sorted(_simple(described).items())]).encode())
        if values is not None:
            content = values.values
            found.update(repr((values.dims, content.shape)).encode())
            text = content.dtype == object or content.dtype.kind in "US"
            found.update(json.dumps(content.tolist()).encode() if text else content.tobytes())
    return found.hexdigest()[:16]
