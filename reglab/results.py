"""Results: what is measured along which axes, the frames that fill them in, and the files that keep them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab import files

if TYPE_CHECKING:
    import xarray as xr

    from reglab.experiment import Experiment


@dataclass(frozen=True)
class Var:
    """A measured quantity: its axes (names with spaces between), a short name for pictures and what it means.

    `low` and `high` are the ends of the range in which it always lies, if any; they keep the axis of a picture still.
    """

    axes: str
    label: str
    help: str
    unit: str = "1"
    low: float | None = None
    high: float | None = None

    @property
    def dims(self) -> tuple[str, ...]:
        """The axes one by one."""
        return tuple(self.axes.split())

    @property
    def attributes(self) -> dict[str, Any]:
        """What results say about it: unit, names, and the ends of its range."""
        ends = {key: bound for key, bound in (("low", self.low), ("high", self.high)) if bound is not None}
        return {"units": self.unit, "long_name": self.label, "description": self.help, **ends}


def share(axes: str, label: str, help: str) -> Var:
    """Declare a quantity that always lies between 0 and 1."""
    return Var(axes, label, help, low=0, high=1)


@dataclass(frozen=True)
class Axis:
    """The positions along one axis of the results, with unit and meaning; `log` when it is drawn logarithmically."""

    values: Sequence[Any] | np.ndarray
    unit: str = "1"
    label: str = ""
    log: bool = False

    def attributes(self, name: str) -> dict[str, Any]:
        """Return what results say about an axis of this name."""
        return {"long_name": self.label or name, "units": self.unit, "log": int(self.log)}


@dataclass(frozen=True)
class Frame:
    """Results that fill one slice: `at` gives positions along axes (an index, or names for `arm`), `values` by name."""

    at: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Tick:
    """Nothing new to see, but the run has come this far (0 to 1) and may be shown, slowed or stopped here."""

    fraction: float


@dataclass(frozen=True)
class Snapshot:
    """A run on its way: the data set filled so far, how far it is (0 to 1), whether it grew since the last one."""

    data: xr.Dataset
    fraction: float
    grew: bool


def settings_of(data: xr.Dataset) -> dict[str, Any]:
    """Return the settings of all knobs that some results were computed with, by name."""
    return dict(json.loads(data.attrs["knobs"]))


def save(data: xr.Dataset, path: Path) -> None:
    """Write results to a compressed NetCDF file, at once or not at all; `ValueError` when it cannot be written."""
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    files.check_writable(path)
    content = io.BytesIO()  # on a full disk HDF5 would leave a file that it cannot close, and crash at exit
    with h5netcdf.File(content, "w") as file:
        encoding = {name: {"zlib": True, "complevel": 4} for name in data.data_vars}
        data.dump_to_store(H5NetCDFStore(file), encoding=encoding)
    files.write(path, content.getvalue())


def load(path: Path, of: type[Experiment] | None = None) -> xr.Dataset:
    """Read results that `save` wrote; with `of`, only those of that experiment.

    Raises `ValueError` that names the path when there is no such file, when it cannot be read, is damaged, no result
    of RegLab, or the result of another experiment.
    """
    import xarray as xr

    content = io.BytesIO(files.read(path))
    try:
        data = xr.load_dataset(content, engine="h5netcdf")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: not a readable result file; it may be cut short or of another kind") from error
    if not {"paper", "experiment", "knobs", "reglab", "threads"} <= set(data.attrs):
        raise ValueError(f"{path}: a NetCDF file, but not a result of RegLab")
    data.attrs["threads"] = int(data.attrs["threads"])
    made_by = f"{data.attrs['paper']}:{data.attrs['experiment']}"
    if of is not None and made_by != f"{of.paper()}:{of.__name__}":
        raise ValueError(f"{path}: a result of {made_by}, not of {of.paper()}:{of.__name__}")
    return data
