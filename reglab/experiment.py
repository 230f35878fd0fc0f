"""An experiment: its knobs, what it measures, and the generator that computes it frame by frame.

A subclass of `Experiment` is a frozen dataclass. From its one declaration come the sliders, the papermill
parameters, the command line, the tables of claims and the checks of bad input.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

import reglab
from reglab import digests, files
from reglab.data import Seeds, as_seeds

if TYPE_CHECKING:
    import xarray as xr

    from reglab.pictures.views import View


@dataclass(frozen=True)
class Knob:
    """One setting of an experiment: its default and what may be put in its place.

    A number lies between `low` and `high` (`step` is the slider's step only); `stops` are the slider's positions
    when they are irregular, and then bound the range too; `choices` are the only allowed values.
    """

    default: Any
    low: float | None = None
    high: float | None = None
    step: float | None = None
    stops: tuple[float, ...] = ()
    choices: tuple[str, ...] = ()
    symbol: str = ""
    unit: str = ""
    help: str = ""

    @property
    def range(self) -> str:
        """What is allowed, in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if self.choices:
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def label(self, name: str) -> str:
        """Return how a knob of this name is called beside its control: in words, with symbol and unit."""
        return f"{name.replace('_', ' ')} {self.symbol}".strip() + (f" ({self.unit})" if self.unit else "")

    def check(self, name: str, value: Any) -> Any:
        """Return the value in the knob's type; raises `ValueError` that names knob, value and range."""
        wrong = ValueError(f"{name} = {value!r}: the knob {name!r} takes {self.range}")
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise wrong
            return value
        if self.choices:
            if value not in self.choices:
                raise wrong
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
            raise wrong
        if isinstance(self.default, int) and value != int(value):
            raise wrong
        assert self.low is not None and self.high is not None
        if not self.low <= value <= self.high:
            raise wrong
        return type(self.default)(value)

    def parse(self, name: str, text: str) -> Any:
        """Return the value that a text from the command line stands for; raises `ValueError` as `check` does."""
        if isinstance(self.default, bool):
            value: Any = {"true": True, "false": False}.get(text.lower(), text)
        elif self.choices:
            value = text
        else:
            try:
                value = float(text)
            except ValueError:
                value = text
        return self.check(name, value)


def knob(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    stops: Sequence[float] = (),
    choices: Sequence[str] = (),
    symbol: str = "",
    unit: str = "",
    help: str = "",
) -> Any:
    """Declare a field of an experiment as a knob, from its parts or from a `Knob` that several experiments share."""
    if isinstance(default, Knob):
        return field(default=default.default, metadata={"knob": default})
    if stops:
        low, high = min(stops), max(stops)
    numeric = not isinstance(default, bool) and not choices
    if numeric and (low is None or high is None):
        raise ValueError(f"a numeric knob (default {default!r}) needs low and high, or stops")
    declared = Knob(default, low, high, step, tuple(stops), tuple(choices), symbol, unit, help)
    return field(default=default, metadata={"knob": declared})


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


@dataclass(frozen=True)
class Experiment:
    """A setting of an experiment. Making one checks every knob; `run` computes it.

    Subclasses declare `arms` (label -> role), `outputs`, `views`, `headline` (the output that one sentence reports),
    `scaled` (what was scaled down from the paper), `smoke` (a setting that runs in under a second), `grid` (what the
    website replays), `unaffected` (a knob of the grid -> arms that do not depend on it, which a recording computes
    once for all its values), `spot_tolerance` (by what share of its span over the grid a variable's mean over seeds may
    differ, beyond luck, when a recorded point is computed again), `equals_baseline` (settings and arms that must equal
    the baseline exactly) and `may_be_nan` (outputs that may be partly NaN where all is computed), and implement `axes`
    and `frames`.
    """

    arms: ClassVar[Mapping[str, str]] = {}
    outputs: ClassVar[Mapping[str, Var]] = {}
    views: ClassVar[tuple[View, ...]] = ()
    headline: ClassVar[str] = ""
    scaled: ClassVar[str] = ""
    smoke: ClassVar[Mapping[str, Any]] = {}
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {}
    unaffected: ClassVar[Mapping[str, Sequence[str]]] = {}
    spot_tolerance: ClassVar[float] = 0.005
    equals_baseline: ClassVar[Sequence[tuple[Mapping[str, Any], str]]] = ()
    may_be_nan: ClassVar[Sequence[str]] = ()

    def __post_init__(self) -> None:
        for name, declared in self.knobs().items():
            object.__setattr__(self, name, declared.check(name, getattr(self, name)))

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """Return all knobs by name, in the order of their declaration."""
        return {f.name: f.metadata["knob"] for f in dataclasses.fields(cls)}

    @classmethod
    def make(cls, settings: Mapping[str, Any]) -> Self:
        """Return the experiment at some settings; raises `KeyError` for an unknown knob, `ValueError` for its value.

        Texts are read as the command line writes them.
        """
        known = cls.knobs()
        for name in settings:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise KeyError(f"{cls.__name__} has no knob {name!r}{hint} (its knobs: {', '.join(known)})")
        return cls(**{k: known[k].parse(k, v) if isinstance(v, str) else v for k, v in settings.items()})

    @classmethod
    def paper(cls) -> str:
        """Return the name of the paper, `part/slug`, that this experiment belongs to."""
        return "/".join(cls.__module__.split(".")[-2:])

    def settings(self) -> dict[str, Any]:
        """Return the value of every knob."""
        return {name: getattr(self, name) for name in self.knobs()}

    def only(self, arms: Iterable[str]) -> Self:
        """Return this setting with some of its arms, which is all that `frames` then computes.

        Their results are those of the whole run, up to rounding. It still compares equal to the whole.
        Raises `KeyError` for an arm that the experiment does not have.
        """
        wanted = set(arms)
        if unknown := wanted - set(self.arms):
            raise KeyError(f"{type(self).__name__} has no arm {sorted(unknown)[0]!r}; it has: {', '.join(self.arms)}")
        chosen = dataclasses.replace(self)
        object.__setattr__(chosen, "arms", {arm: role for arm, role in self.arms.items() if arm in wanted})
        return chosen

    def axes(self) -> dict[str, Axis]:
        """Return all axes of the results but `arm` and `seed`, whose positions the base class knows."""
        raise NotImplementedError

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Compute: yield a `Frame` for each slice of results and a `Tick` at least every 50 ms."""
        raise NotImplementedError

    def stream(self, seeds: int | Iterable[int] = 8) -> Iterator[Snapshot]:
        """Compute and yield the growing data set (always the same object) at every frame and tick."""
        chosen = as_seeds(seeds)
        data = self._empty(chosen)
        fraction = 0.0
        for event in self.frames(chosen):
            if isinstance(event, Tick):
                fraction = event.fraction
            else:
                self._fill(data, event)
            yield Snapshot(data, fraction, isinstance(event, Frame))
        yield Snapshot(data, 1.0, True)

    def run(self, seeds: int | Iterable[int] = 8, progress: Callable[[float], None] | None = None) -> xr.Dataset:
        """Compute and return the results: a data set with named axes, units, descriptions and provenance.

        `progress` is called with the fraction done (0 to 1). Raises `ValueError` for seeds that make no sense.
        """
        for snapshot in self.stream(seeds):
            if progress is not None:
                progress(snapshot.fraction)
        return snapshot.data

    def _empty(self, seeds: Seeds) -> xr.Dataset:
        import torch
        import xarray as xr

        axes = self.axes()
        coordinates: dict[str, Any] = {"seed": ("seed", np.array(seeds), {"long_name": "seed"})}
        if self.arms:
            coordinates["arm"] = ("arm", np.array(list(self.arms), dtype=object), {"long_name": "arm"})
        for name, axis in axes.items():
            values = np.array(axis.values)
            values = values.astype(object) if values.dtype.kind == "U" else values
            coordinates[name] = (name, values, axis.attributes(name))
        sizes = {name: len(coordinate[1]) for name, coordinate in coordinates.items()}
        variables = {}
        for name, var in self.outputs.items():
            variables[name] = (var.dims, np.full([sizes[dim] for dim in var.dims], np.nan), var.attributes)
        versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
        provenance = {
            "paper": self.paper(),
            "experiment": type(self).__name__,
            "knobs": json.dumps(self.settings()),
            "reglab": reglab.__version__,
            "versions": json.dumps(versions),
            "digest": digests.of_experiment(type(self)),
            "threads": torch.get_num_threads(),
        }
        return xr.Dataset(variables, coordinates, provenance)

    def _fill(self, data: xr.Dataset, frame: Frame) -> None:
        arms = list(self.arms)
        at = dict(frame.at)
        unknown = [name for name in at if name not in data.dims]
        if unknown:
            raise KeyError(f"a frame of {type(self).__name__} names the axis {unknown[0]!r}; known: {tuple(data.dims)}")
        if isinstance(at.get("arm"), str):
            at["arm"] = arms.index(at["arm"])
        elif "arm" in at:
            at["arm"] = [arms.index(arm) for arm in at["arm"]]
        for name, values in frame.values.items():
            target = data[name]
            target[{dim: at[dim] for dim in target.dims if dim in at}] = np.asarray(values, dtype=float)


def settings_of(data: xr.Dataset) -> dict[str, Any]:
    """Return the settings of all knobs that some results were computed with, by name."""
    return dict(json.loads(data.attrs["knobs"]))


def save(data: xr.Dataset, path: Path) -> None:
    """Write results to a compressed NetCDF file at once: a temporary file beside it is renamed when it is whole.

    Raises `ValueError` that names the path when it cannot be written.
    """
    encoding = {name: {"zlib": True, "complevel": 4} for name in data.data_vars}
    with files.at_once(path) as temporary:
        data.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)


def load(path: Path, of: type[Experiment] | None = None) -> xr.Dataset:
    """Read results that `save` wrote; with `of`, only those of that experiment.

    Raises `ValueError` that names the path when there is no such file, when it is damaged, no result of RegLab, or
    the result of another experiment.
    """
    import xarray as xr

    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    try:
        data = xr.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: not a readable result file; it may be cut short or of another kind") from error
    if not {"paper", "experiment", "knobs", "reglab", "threads"} <= set(data.attrs):
        raise ValueError(f"{path}: a NetCDF file, but not a result of RegLab")
    data.attrs["threads"] = int(data.attrs["threads"])
    made_by = f"{data.attrs['paper']}:{data.attrs['experiment']}"
    if of is not None and made_by != f"{of.paper()}:{of.__name__}":
        raise ValueError(f"{path}: a result of {made_by}, not of {of.paper()}:{of.__name__}")
    return data
